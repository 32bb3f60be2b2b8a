"""Puts messages into a conversation by byte ranges; instructions go into `system`, which stands apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from llmproxy.plugin import (
    BadRequest,
    Edit,
    Member,
    MessageEdit,
    elements,
    in_order,
    insertion,
    message_edits,
    scan_members,
)

_KEYS: Final = frozenset({"messages", "system"})
_INSTRUCTIONS: Final = frozenset({"system", "developer"})


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end.
    Instructions are added at the end of `system`, whatever their index.
    """
    members = scan_members(body, _KEYS)
    instructions = [message for message in messages if message.role in _INSTRUCTIONS]
    turns = [message for message in messages if message.role not in _INSTRUCTIONS]
    changes = message_edits(body, members.get("messages"), turns, _written)
    if instructions:
        changes.append(_into_system(body, members.get("system"), instructions))
    return in_order(changes)


def _written(message: MessageEdit) -> bytes:
    return orjson.dumps({"role": message.role, "content": [{"text": message.text}]})


def _into_system(body: bytes, system: Member | None, messages: list[MessageEdit]) -> tuple[int, int, bytes]:
    if any(message.replace for message in messages):
        text = "Instructions stand apart from the messages; they can be added, not put in a message's place."
        raise BadRequest("no_such_message", text)
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
