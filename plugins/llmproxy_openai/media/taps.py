"""Reads what calls for sound and pages used, where no usage stands in their answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from llmproxy.plugin import Exchange, Usage, UsageReader
from llmproxy_openai.usage import USAGE, read_usage

#: Seconds of a recording: more is told by mistake.
_LONGEST: Final = 3_000_000


class SoundTap:
    """Reads an answer that is sound itself: any byte is output. What it used is the text that was to be spoken."""

    __slots__ = ("_spoken", "first_output", "terminal", "usage")

    #: No error is looked for in sound, and no end of its own.
    failed = False
    cut = False

    def __init__(self, spoken: int) -> None:
        self._spoken = spoken
        self.first_output = False
        self.terminal = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Note that there is output."""
        self.first_output = True

    def end(self) -> None:
        """Count the characters that were spoken."""
        self.terminal = True
        if self._spoken:
            self.usage = Usage(units=self._spoken)

    def fail(self, error: BaseException) -> None:
        """Nothing is known of sound that broke off."""


def spoken_by(exchange: Exchange) -> int:
    """Return how many characters a request wants spoken."""
    try:
        told = orjson.loads(exchange.body_at_hand or b"")
    except orjson.JSONDecodeError:
        return 0
    text = told.get("input") if isinstance(told, dict) else None
    return len(text) if isinstance(text, str) else 0


class _Length(msgspec.Struct):
    duration: float = 0.0


class HeardReader(UsageReader):
    """Finds usage, or else how long the recording is (`verbose_json`)."""

    __slots__ = ()
    _length: Final = msgspec.json.Decoder(_Length)

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage, and whether the text ends too early."""
        usage, cut = super().whole(body)
        if usage is not None or cut:
            return usage, cut
        try:
            seconds = self._length.decode(body).duration
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None, False
        return (Usage(units=round(seconds * 1000)) if 0 < seconds < _LONGEST else None), False


def read_pages(told: dict[str, Any]) -> Usage | None:
    """Return the pages that were read (Mistral's OCR)."""
    pages = told.get("pages_processed")
    return Usage(units=pages) if type(pages) is int and pages > 0 else None


HEARD: Final = HeardReader("usage", read_usage)
PAGES: Final = UsageReader("usage_info", read_pages)
#: Asks for what pages are described with, which has a price of its own.
_DESCRIBED: Final = b"annotation_format"


def reader_of(exchange: Exchange) -> UsageReader:
    """Return what finds the usage in the JSON of such a call's answer."""
    if not exchange.request.path.endswith("/ocr"):
        return HEARD
    return USAGE if _DESCRIBED in (exchange.body_at_hand or b"") else PAGES
