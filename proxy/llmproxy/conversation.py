"""Puts messages into a list of them by byte ranges: what a dialect's client face turns message edits into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from llmproxy.bodyreader import scan_members
from llmproxy.errors import BadRequest
from llmproxy.exchange import Edit, MessageEdit
from llmproxy.jsonscan import Member, elements

#: A byte range to change: its start, its end, what stands there then.
Change = tuple[int, int, bytes]

_INSTRUCTIONS: Final = frozenset({"system", "developer"})


def message_edits(
    body: bytes,
    array: Member | None,
    messages: Sequence[MessageEdit],
    write: Callable[[MessageEdit], bytes],
    *,
    called: str = "messages",
) -> list[Change]:
    """Return the changes that put messages into the array of a body; `write` says how its dialect writes one.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end. `called`
    is the dialect's word for what the array holds.

    Raises:
        BadRequest: there is no such array, or no message in the place of one to be replaced.
    """
    if array is None or body[array.value_start] != ord("["):
        message = f"The request holds no list of {called} that a message could be put into."
        raise BadRequest("no_conversation", message)
    places = elements(body, array)
    changes: list[Change] = []
    for edit in messages:
        at = _index(edit, len(places), called)
        written = write(edit)
        if edit.replace:
            changes.append((*places[at], written))
        elif at < len(places):
            changes.append((places[at][0], places[at][0], written + b","))
        elif places:
            changes.append((places[-1][1], places[-1][1], b"," + written))
        else:
            comma = b"," if changes else b""
            changes.append((array.value_start + 1, array.value_start + 1, comma + written))
    return changes


def edits_apart(
    body: bytes,
    messages: Sequence[MessageEdit],
    write: Callable[[MessageEdit], bytes],
    key: str,
    instruct: Callable[[bytes, Member | None, Sequence[MessageEdit]], Change],
) -> list[Edit]:
    """Return the edits where instructions stand in a member of their own, `key`, into which `instruct` puts them.

    Raises:
        BadRequest: as `message_edits` does, or instructions are to replace a message.
    """
    members = scan_members(body, frozenset({"messages", key}))
    turns = [message for message in messages if message.role not in _INSTRUCTIONS]
    instructions = [message for message in messages if message.role in _INSTRUCTIONS]
    changes = message_edits(body, members.get("messages"), turns, write)
    if any(message.replace for message in instructions):
        text = "Instructions stand apart from the messages; they can be added, not put in a message's place."
        raise BadRequest("no_such_message", text)
    if instructions:
        changes.append(instruct(body, members.get(key), instructions))
    return in_order(changes)


def in_order(changes: Iterable[Change], offset: int = 0) -> list[Edit]:
    """Return the edits of a body in which the object that was changed stands at `offset`, by their places."""
    ordered = sorted(changes, key=lambda change: change[:2])
    return [Edit(offset + start, offset + end, data) for start, end, data in ordered]


def _index(edit: MessageEdit, count: int, called: str) -> int:
    at = edit.at + count if edit.at < 0 else edit.at
    if edit.replace and not 0 <= at < count:
        message = f"The conversation has {count} {called}; there is none at {edit.at}."
        raise BadRequest("no_such_message", message)
    return min(max(at, 0), count)
