"""Puts messages into a conversation by byte ranges: `contents`, and `systemInstruction` for instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from llmproxy.plugin import (
    BadRequest,
    DuplicateKey,
    Edit,
    JsonFault,
    Member,
    MessageEdit,
    insertion,
    scan,
)
from llmproxy_gemini.errors import BadField
from llmproxy_gemini.passing import elements

_SYSTEM: Final = ("systemInstruction", "system_instruction")
_WRAPPED: Final = ("generateContentRequest", "generate_content_request")
_KEYS: Final = frozenset({"contents", *_SYSTEM, *_WRAPPED})
_PARTS: Final = frozenset({"parts"})

_ROLES: Final = {"assistant": "model", "system": "user", "developer": "user"}

Change = tuple[int, int, bytes]


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the contents that are there, whatever the other edits do; beyond either end is at that end. A system
    message at the start goes into the system instruction; a later one is a user's turn, for there is no other place.
    """
    offset, body = _conversation(body)
    members = _scanned(body, _KEYS)
    contents = members.get("contents")
    if contents is None or body[contents.value_start : contents.value_start + 1] != b"[":
        told = "The request holds no list of contents that a message could be put into."
        raise BadRequest("no_conversation", told)
    start = contents.value_start
    places = [(start + a, start + b) for a, b in elements(body[start : contents.value_end])]
    changes: list[Change] = []
    instructions: list[str] = []
    for message in messages:
        if message.role in ("system", "developer") and message.at == 0 and not message.replace:
            instructions.append(message.text)
        else:
            changes.append(_change(message, places, start + 1, first=not changes))
    if instructions:
        changes.append(_instruct(body, members, instructions))
    changes.sort(key=lambda change: change[:2])
    return [Edit(offset + a, offset + b, data) for a, b, data in changes]


def _conversation(body: bytes) -> tuple[int, bytes]:
    """Return the object that holds the contents, and where it stands: a counting call wraps it."""
    members = _scanned(body, _KEYS)
    for key in _WRAPPED:
        member = members.get(key)
        if member is not None and "contents" not in members and body[member.value_start] == ord("{"):
            return member.value_start, body[member.value_start : member.value_end]
    return 0, body


def _change(message: MessageEdit, places: list[tuple[int, int]], empty_at: int, *, first: bool) -> Change:
    role = _ROLES.get(message.role, message.role)
    written = orjson.dumps({"role": role, "parts": [{"text": message.text}]})
    at = _index(message, len(places))
    if message.replace:
        return (*places[at], written)
    if at < len(places):
        return places[at][0], places[at][0], written + b","
    if places:
        return places[-1][1], places[-1][1], b"," + written
    return empty_at, empty_at, written if first else b"," + written


def _index(message: MessageEdit, count: int) -> int:
    at = message.at + count if message.at < 0 else message.at
    if message.replace and not 0 <= at < count:
        told = f"The conversation has {count} contents; there is none at {message.at}."
        raise BadRequest("no_such_message", told)
    return min(max(at, 0), count)


def _instruct(body: bytes, members: dict[str, Member], texts: list[str]) -> Change:
    """Put instructions before those that are there."""
    parts = b",".join(orjson.dumps({"text": text}) for text in texts)
    member = members.get(_SYSTEM[0]) or members.get(_SYSTEM[1])
    if member is None:
        return insertion(body, _SYSTEM[0], b'{"parts":[' + parts + b"]}")
    value = body[member.value_start : member.value_end]
    if value[:1] == b"{":
        held = _scanned(value, _PARTS).get("parts")
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


def _scanned(body: bytes, keys: frozenset[str]) -> dict[str, Member]:
    try:
        return scan(body, keys)
    except DuplicateKey as fault:
        raise BadField("duplicate_key", f"The body must hold '{fault.key}' only once.", fault.key) from None
    except (JsonFault, msgspec.DecodeError) as fault:
        raise BadField("invalid_json", _sentence(fault)) from None


def _sentence(fault: BaseException) -> str:
    text = str(fault)
    return text[:1].upper() + text[1:] + "."
