"""Puts messages into a conversation by byte ranges: `contents`, and `systemInstruction` for instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from llmproxy.plugin import (
    Change,
    Edit,
    Member,
    MessageEdit,
    in_order,
    insertion,
    member_value,
    message_edits,
    scan_members,
)

_SYSTEM: Final = ("systemInstruction", "system_instruction")
_WRAPPED: Final = ("generateContentRequest", "generate_content_request")
_KEYS: Final = frozenset({"contents", *_SYSTEM, *_WRAPPED})
_PARTS: Final = frozenset({"parts"})

_ROLES: Final = {"assistant": "model", "system": "user", "developer": "user"}


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the contents that are there, whatever the other edits do; beyond either end is at that end. A system
    message at the start goes into the system instruction; a later one is a user's turn, for there is no other place.
    """
    offset, body = _conversation(body)
    members = scan_members(body, _KEYS)
    instructions = [message.text for message in messages if _instructs(message)]
    turns = [message for message in messages if not _instructs(message)]
    changes = message_edits(body, members.get("contents"), turns, _written, called="contents")
    if instructions:
        changes.append(_instruct(body, members, instructions))
    return in_order(changes, offset)


def _instructs(message: MessageEdit) -> bool:
    return message.role in ("system", "developer") and message.at == 0 and not message.replace


def _conversation(body: bytes) -> tuple[int, bytes]:
    """Return the object that holds the contents, and where it stands: a counting call wraps it."""
    members = scan_members(body, _KEYS)
    for key in _WRAPPED:
        member = members.get(key)
        if member is not None and "contents" not in members and body[member.value_start] == ord("{"):
            return member.value_start, member_value(body, member)
    return 0, body


def _written(message: MessageEdit) -> bytes:
    role = _ROLES.get(message.role, message.role)
    return orjson.dumps({"role": role, "parts": [{"text": message.text}]})


def _instruct(body: bytes, members: dict[str, Member], texts: list[str]) -> Change:
    """Put instructions before those that are there."""
    parts = b",".join(orjson.dumps({"text": text}) for text in texts)
    member = members.get(_SYSTEM[0]) or members.get(_SYSTEM[1])
    if member is None:
        return insertion(body, _SYSTEM[0], b'{"parts":[' + parts + b"]}")
    value = member_value(body, member)
    if value[:1] == b"{":
        held = scan_members(value, _PARTS).get("parts")
        if held is not None and value[held.value_start : held.value_start + 1] == b"[":
            at = member.value_start + held.value_start + 1
            rest = value[held.value_start + 1 : held.value_end - 1].strip()
            return at, at, parts + (b"," if rest else b"")
    # Of another shape than usual: written anew, with the text that it holds.
    return member.value_start, member.value_end, b'{"parts":[' + parts + _kept(value) + b"]}"


def _kept(value: bytes) -> bytes:
    told = orjson.loads(value)
    parts = told.get("parts") if isinstance(told, dict) else told
    if isinstance(parts, str):
        parts = {"text": parts}
    kept = parts if isinstance(parts, list) else [parts] if parts else []
    return b"".join(b"," + orjson.dumps(part) for part in kept)
