"""Puts messages into a conversation by byte ranges: Chat's `messages`, Responses' `input` if it is a list."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from llmproxy.plugin import Edit, MessageEdit, in_order, message_edits, scan_members

_KEYS = frozenset({"messages", "input"})


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end.
    """
    members = scan_members(body, _KEYS)
    array = members.get("messages") or members.get("input")
    return in_order(message_edits(body, array, messages, _written))


def _written(message: MessageEdit) -> bytes:
    return orjson.dumps({"role": message.role, "content": message.text})
