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

    Instructions are added at the end of `system`, whatever their index: nothing stands before the conversation.
    """
    return edits_apart(body, messages, _written, "system", _into_system)


def _written(message: MessageEdit) -> bytes:
    return orjson.dumps({"role": message.role, "content": message.text})


def _into_system(body: bytes, system: Member | None, messages: Sequence[MessageEdit]) -> Change:
    text = "\n\n".join(message.text for message in messages)
    if system is None:
        return insertion(body, "system", orjson.dumps(text))
    start, end = system.value_start, system.value_end
    first = body[start : start + 1]
    if first == b'"':
        empty = end - start == 2
        return end - 1, end - 1, orjson.dumps(text if empty else "\n\n" + text)[1:-1]
    if first == b"[":
        block = orjson.dumps({"type": "text", "text": text})
        places = elements(body, system)
        return (places[-1][1], places[-1][1], b"," + block) if places else (start + 1, start + 1, block)
    if body[start:end] == b"null":
        return start, end, orjson.dumps(text)
    raise BadRequest("invalid_type", "system: Input should be a string or a list of text blocks.")
