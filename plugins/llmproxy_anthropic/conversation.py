"""Puts messages into a conversation by byte ranges; instructions go into `system`, which stands apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from llmproxy.plugin import BadRequest, Edit, Member, MessageEdit, insertion
from llmproxy_anthropic.reading import member_value, scan_members

_KEYS: Final = frozenset({"messages", "system"})
_SPACE: Final = b" \t\r\n"
_INSTRUCTIONS: Final = frozenset({"system", "developer"})
_list_of_raw: Final = msgspec.json.Decoder(list[msgspec.Raw])


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end.
    Instructions are added at the end of `system`, whatever their index: nothing stands before the conversation.
    """
    members = scan_members(body, _KEYS)
    array = members.get("messages")
    if array is None or body[array.value_start] != ord("["):
        message = "The request holds no list of messages that a message could be put into."
        raise BadRequest("no_conversation", message)
    instructions = [message for message in messages if message.role in _INSTRUCTIONS]
    changes = _turns(body, array, [message for message in messages if message.role not in _INSTRUCTIONS])
    if instructions:
        changes.append(_into_system(body, members.get("system"), instructions))
    changes.sort(key=lambda change: change[:2])
    return [Edit(*change) for change in changes]


def elements(body: bytes, array: Member) -> list[tuple[int, int]]:
    """Return where each element of a JSON array starts and ends, without the space around it."""
    places = []
    at = array.value_start + 1
    for raw in _list_of_raw.decode(member_value(body, array)):
        while body[at] in _SPACE:
            at += 1
        end = at + len(memoryview(raw))
        places.append((at, end))
        at = _after_comma(body, end)
    return places


def _turns(body: bytes, array: Member, messages: list[MessageEdit]) -> list[tuple[int, int, bytes]]:
    places = elements(body, array)
    changes: list[tuple[int, int, bytes]] = []
    for message in messages:
        at = _index(message, len(places))
        written = orjson.dumps({"role": message.role, "content": message.text})
        if message.replace:
            changes.append((*places[at], written))
        elif at < len(places):
            changes.append((places[at][0], places[at][0], written + b","))
        elif places:
            changes.append((places[-1][1], places[-1][1], b"," + written))
        else:
            comma = b"," if changes else b""
            changes.append((array.value_start + 1, array.value_start + 1, comma + written))
    return changes


def _into_system(body: bytes, system: Member | None, messages: list[MessageEdit]) -> tuple[int, int, bytes]:
    if any(message.replace for message in messages):
        text = "Instructions stand apart from the messages; they can be added, not put in a message's place."
        raise BadRequest("no_such_message", text)
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


def _after_comma(body: bytes, at: int) -> int:
    while body[at] in _SPACE:
        at += 1
    return at + 1


def _index(message: MessageEdit, count: int) -> int:
    at = message.at + count if message.at < 0 else message.at
    if message.replace and not 0 <= at < count:
        raise BadRequest(
            "no_such_message", f"The conversation has {count} messages; there is none at {message.at}."
        )
    return min(max(at, 0), count)
