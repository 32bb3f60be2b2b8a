"""Puts messages into a conversation by byte ranges; instructions go into `system`, which stands apart from it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from llmproxy.plugin import (
    BadRequest,
    Change,
    Edit,
    Member,
    MessageEdit,
    edits_apart,
    elements,
    insertion,
)


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Instructions are added at the end of `system`, whatever their index.
    """
    return edits_apart(body, messages, _written, "system", _into_system)


def _written(message: MessageEdit) -> bytes:
    return orjson.dumps({"role": message.role, "content": [{"text": message.text}]})


def _into_system(body: bytes, system: Member | None, messages: Sequence[MessageEdit]) -> Change:
    blocks = b",".join(orjson.dumps({"text": message.text}) for message in messages)
    if system is None:
        return insertion(body, "system", b"[" + blocks + b"]")
    start, end = system.value_start, system.value_end
    if body[start:end] == b"null":
        return start, end, b"[" + blocks + b"]"
    if body[start : start + 1] != b"[":
        raise BadRequest("invalid_type", "The value at 'system' must be a list.")
    places = elements(body, system)
    return (places[-1][1], places[-1][1], b"," + blocks) if places else (start + 1, start + 1, blocks)
