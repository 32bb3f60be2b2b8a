"""Interactions, which name their model in the body and stream events of their own: passed on, their usage read.

Source: the Interactions API of the Gemini API, v1beta.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmproxy.plugin import (
    BadField,
    BodyReader,
    Exchange,
    Findings,
    Reply,
    Tap,
    Usage,
    UsageReader,
    WholeTap,
    member_value,
)
from llmproxy_gemini.paths import INTERACTIONS
from llmproxy_gemini.usage import modalities, parts_of

#: Bytes kept of a stream's end, where its usage stands.
TAIL: Final = 16 * 1024

_MODELS: Final = "models/"
#: What is asked in a model's place: by models of its own.
_AGENT: Final = "agent"
#: How a stream tells that something of the answer comes, that it ends, and that it ends badly.
_OUTPUT: Final = re.compile(rb'"event_type" ?: ?"(?:step|content)\.delta"')
_END: Final = re.compile(
    rb'"event_type" ?: ?"(?:interaction\.(?:completed|failed|cancelled|incomplete|requires_action)|error)"'
)
_FAILED: Final = re.compile(rb'"event_type" ?: ?"(?:interaction\.failed|error)"')
_LONGEST: Final = 64


class InteractionReader(BodyReader):
    """Reads the model's name and whether a stream is wanted."""

    json_paths = (INTERACTIONS,)
    keys = BodyReader.keys | {_AGENT}

    def read(self, exchange: Exchange, body: bytes) -> None:
        """Set the exchange's `model`, without the collection that may stand before it, and `streamed`."""
        super().read(exchange, body)
        if exchange.model is not None:
            exchange.model = exchange.model.removeprefix(_MODELS)
            agent = exchange.members.get(_AGENT)
            if agent is not None and member_value(body, agent) != b"null":
                message = "The request names an agent beside its model; name one of them."
                raise BadField("invalid_request", message, _AGENT)


READER: Final = InteractionReader()


def read_interaction_usage(told: Mapping[str, Any]) -> Usage | None:
    """Sort counts into disjoint buckets that sum to the total; None where there are none."""
    counts = {key: value for key, value in told.items() if type(value) is int and value >= 0}
    if not counts:
        return None
    prompt = counts.get("total_input_tokens", 0) + counts.get("total_tool_use_tokens", 0)
    output, thought = counts.get("total_output_tokens", 0), counts.get("total_thought_tokens", 0)
    output += max(0, counts.get("total_tokens", 0) - prompt - output - thought)
    cached = min(counts.get("total_cached_tokens", 0), prompt)
    used = Usage(prompt - cached, cached, 0, output, thought)
    asked, kept, answered = (
        modalities(told, f"{kind}_tokens_by_modality", count="tokens")
        for kind in ("input", "cached", "output")
    )
    parts = parts_of(asked, kept, answered, used)
    return used if parts is None else msgspec.structs.replace(used, parts=parts)


USAGE: Final = UsageReader("usage", read_interaction_usage)


class InteractionTap(Findings):
    """Reads a stream of an interaction's events, cut anywhere."""

    __slots__ = ("_carry", "_tail")

    def __init__(self) -> None:
        super().__init__()
        self._carry = b""
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        window = self._carry + data
        self.first_output = self.first_output or _OUTPUT.search(window) is not None
        if _END.search(window) is not None:
            self.terminal = True
            self.failed = self.failed or _FAILED.search(window) is not None
        self._carry = window[-_LONGEST:]
        self._tail = (self._tail + data)[-TAIL:]

    def end(self) -> None:
        """Find the usage; a stream with output and no end was cut."""
        self._conclude()
        self.cut = self.first_output and not self.terminal

    def _conclude(self) -> None:
        self.usage = USAGE.last(self._tail)


def interaction_tap(reply: Reply) -> Tap | None:
    """Return what reads an interaction."""
    if reply.is_event_stream:
        return InteractionTap()
    json = reply.headers.index.get(b"content-type", b"")[:16] == b"application/json"
    return WholeTap(USAGE) if json else None
