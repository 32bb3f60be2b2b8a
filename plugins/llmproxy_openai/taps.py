"""Reads answers as they pass: first output, usage, the end marker, from bytes cut anywhere.

Theory of operation. Events are parsed only until the first one with output. From then on the tap keeps no
more than the stream's tail, in which the last usage and the end marker stand. A Responses stream tells usage
in its final event, which repeats the whole answer: once that has begun, a longer tail is kept. What is found
does not depend on the cuts.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from llmproxy.plugin import CountingTap, Exchange, Findings, Tap, Usage, WholeTap, event_data, unfinished
from llmproxy_openai.usage import USAGE

#: Bytes kept of a stream's end; the longest usage event known and `[DONE]` need less than half.
TAIL = 4 * 1024
#: Bytes kept of a final event that repeats the answer.
LONG_TAIL = 1024 * 1024
#: An event that outgrows this is output, whatever it says.
_MAX_EVENT = 1024 * 1024

# The last event of a typed stream: a candidate, then what must stand before it. Inside a string the
# quotes would be escaped and a line could not begin.
_MAYBE_FINAL = re.compile(rb"\.(?:completed|incomplete|failed|done)(?=[\"\r\n])")
_FINAL = re.compile(
    rb'(?:"type" ?: ?"|[\r\n]event: ?)(?:response\.(?:completed|incomplete|failed)|transcript\.text\.done'
    rb"|speech\.audio\.done|image_(?:generation|edit)\.completed)\Z"
)
_FINAL_LONGEST = 48
_USAGE_KEY = b'"usage"'
_BLANK_LINE = re.compile(rb"\n\r?\n|\r\r")
_DONE_LEADS = (b"\ndata: ", b"\ndata:", b"\rdata: ", b"\rdata:")
_FINISHED = re.compile(rb'"finish_reason" ?: ?"')
_FAILED = re.compile(rb'data: ?\{ ?"type" ?: ?"error"')
_NOT_FINISHED = re.compile(rb'"choices".*"finish_reason" ?: ?null', re.DOTALL)
# xAI only writes the reason where there is one.
_CHOICE = re.compile(rb'"choices" ?: ?\[ ?\{')
# Servers that speak like OpenAI end a stream with an error object instead, and nothing after it.
_TOLD_ERROR = re.compile(rb'data: ?\{ ?"error"')
# OpenRouter says so in a chunk, beside the choices.
_FAILED_WITH = re.compile(rb'data: ?\{ ?"error" ?: ?[{"]|"finish_reason" ?: ?"error"')


#: Calls that tell what they used elsewhere.
_ELSEWHERE = (
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/ocr",
)


def answer_tap(exchange: Exchange, *, json: bool) -> Tap | None:
    """Return what reads an answer that is no stream, or None where there is nothing to read."""
    if not exchange.request.path.endswith(_ELSEWHERE):
        return WholeTap(USAGE) if json else None
    from llmproxy_openai.media import taps  # noqa: PLC0415  # few gateways hear or speak

    if json and "/images/" in exchange.request.path:
        return CountingTap(USAGE, "b64_json", "url")
    if exchange.request.path.endswith("/speech"):
        return taps.SoundTap(taps.spoken_by(exchange))
    return WholeTap(taps.reader_of(exchange)) if json else None


class StreamTap(Findings):
    """Reads an event stream."""

    __slots__ = (
        "_carry",
        "_dropped",
        "_ends",
        "_event",
        "_final_at",
        "_looking",
        "_responds",
        "_searched",
        "_typed",
    )

    def __init__(self) -> None:
        super().__init__()
        #: Whether the stream is one of those whose end is known.
        self._ends = False
        #: Whether it is one of the Responses API's.
        self._responds = False
        self._looking = True
        self._typed: bool | None = None
        self._dropped = 0
        self._event = b""
        self._searched = 0
        self._carry = b""
        self._final_at = -1

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._pieces.append(data)
        self._size += len(data)
        if self._looking:
            self._look(data)
        if self._size > 2 * TAIL:
            self._trim()

    def end(self) -> None:
        """Find what the tail tells; some servers send no `[DONE]` after the last choice."""
        tail = self._conclude()
        if rest := unfinished(tail):
            # What an event says of the end counts once it is there.
            tail = tail[: -len(rest)]
            self.terminal = self.terminal and not _MAYBE_FINAL.search(rest)
        self.terminal = self.terminal or _FINISHED.search(tail) is not None
        if self._ends and not self.terminal:
            self.cut = bool(self._typed) or bool(rest) or _is_going_on(tail)

    def _conclude(self) -> bytes:
        tail = self._tail()
        self._pieces = []
        self.usage = self._told(tail)
        self.terminal = self._final_at >= 0 or _says_done(tail)
        if tail.find(b'"error"') >= 0:  # the word is found ten times as quickly as what it may stand in
            told = _FAILED.search(tail) is not None
            self.failed = self.failed or told or _FAILED_WITH.search(tail) is not None
            self.terminal = self.terminal or told
        return tail

    def _told(self, tail: bytes) -> Usage | None:
        """Read the last usage. Responses repeat what callers wrote, their tools' schemas too: only their end counts."""
        if not self._responds:
            return USAGE.last(tail)
        at = tail.rfind(_USAGE_KEY) if self._final_at >= 0 else -1
        return None if at < 0 else USAGE.last(tail[at:])

    def _look(self, data: bytes) -> None:
        undecided = self._typed is None
        if not self.first_output:
            self._await_output(data)
        if self._typed and self._final_at < 0:
            self._await_final(b"".join(self._pieces) if undecided else self._carry + data)
        self._looking = not self.first_output or (bool(self._typed) and self._final_at < 0)

    def _await_output(self, data: bytes) -> None:
        """Parse whole events until one holds output."""
        self._event = data = self._event + data if self._event else data
        start = 0
        while not self.first_output and (end := _BLANK_LINE.search(data, self._searched)):
            self._read_event(data[start : end.end()])
            start = self._searched = end.end()
        self._event = b"" if self.first_output else data[start:]
        self._searched = max(0, len(self._event) - 3)
        if len(self._event) > _MAX_EVENT:
            self.first_output, self._typed, self._event = True, bool(self._typed), b""

    def _read_event(self, event: bytes) -> None:
        try:
            message = orjson.loads(event_data(event))
        except orjson.JSONDecodeError:
            return
        if isinstance(message, dict):
            kind = message.get("type")
            self._typed = self._typed or isinstance(kind, str)
            self._responds = self._responds or (isinstance(kind, str) and kind.startswith("response."))
            self._ends = self._ends or self._responds or "choices" in message
            self.first_output = has_output(message)

    def _await_final(self, window: bytes) -> None:
        for maybe in _MAYBE_FINAL.finditer(window):
            found = _FINAL.search(window, max(0, maybe.end() - _FINAL_LONGEST), maybe.end())
            if found is not None:
                self.failed = found[0].endswith(b".failed")
                self._final_at = self._dropped + self._size - len(window) + maybe.start()
                break
        self._carry = window[-_FINAL_LONGEST:]

    def _tail(self) -> bytes:
        whole = b"".join(self._pieces)
        if self._final_at < 0:
            return whole[-TAIL:]
        return whole[max(0, self._final_at - TAIL - self._dropped) :][-LONG_TAIL:]

    def _trim(self) -> None:
        if self._typed is None:
            return
        limit = LONG_TAIL if self._final_at >= 0 else TAIL + _FINAL_LONGEST
        if self._size > 2 * limit:
            self._dropped += self._size - limit
            self._keep(limit)


def _is_going_on(tail: bytes) -> bool:
    """Say whether the last chunk does not say of its choice that it has ended, and nothing else explains the end."""
    last = tail[max(0, tail.rfind(b'"choices"')) :]
    silent = b'"finish_reason"' not in last and _CHOICE.match(last) is not None
    return (silent or _NOT_FINISHED.search(last) is not None) and _TOLD_ERROR.search(last) is None


def _says_done(tail: bytes) -> bool:
    at = tail.rfind(b"[DONE]")
    return at >= 0 and (b"\n" + tail[max(0, at - 7) : at]).endswith(_DONE_LEADS)


def has_output(message: dict[str, Any]) -> bool:
    """Say whether an event brings something of the answer: text, a tool call, a refusal, reasoning, media."""
    choices = message.get("choices")
    if isinstance(choices, list):
        return any(isinstance(choice, dict) and _choice_has_output(choice) for choice in choices)
    kind = message.get("type") or message.get("object")
    if isinstance(kind, str) and kind.startswith(("response.", "thread.")):
        return kind.endswith((".delta", ".partial_image")) or kind == "response.output_item.done"
    # A stream of another shape has no preamble that is known here; an error is never output.
    return not message.get("error") and kind != "error"


def _choice_has_output(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta") or choice.get("message")
    if isinstance(delta, dict):
        return any(value for key, value in delta.items() if key != "role")
    return bool(choice.get("text"))
