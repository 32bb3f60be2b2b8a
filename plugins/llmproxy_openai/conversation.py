"""Puts messages into a conversation by byte ranges: Chat's `messages`, Responses' `input` if it is a list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from llmproxy.plugin import BadRequest, Edit, Member, MessageEdit
from llmproxy_openai.reading import member_value, scan_members

_KEYS = frozenset({"messages", "input"})
_SPACE = b" \t\r\n"
_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw])


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end.
    """
    array = _conversation(body)
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


def _after_comma(body: bytes, at: int) -> int:
    while body[at] in _SPACE:
        at += 1
    return at + 1


def _conversation(body: bytes) -> Member:
    members = scan_members(body, _KEYS)
    found = members.get("messages") or members.get("input")
    if found is None or body[found.value_start] != ord("["):
        message = "The request holds no list of messages that a message could be put into."
        raise BadRequest("no_conversation", message)
    return found


def _index(message: MessageEdit, count: int) -> int:
    at = message.at + count if message.at < 0 else message.at
    if message.replace and not 0 <= at < count:
        raise BadRequest(
            "no_such_message", f"The conversation has {count} messages; there is none at {message.at}."
        )
    return min(max(at, 0), count)
