"""Puts messages into a conversation by byte ranges: `messages`, in which instructions may stand anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from llmproxy.plugin import Edit, MessageEdit, in_order, message_edits, scan_members

_KEYS = frozenset({"messages"})


def edits(body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
    """Return the byte ranges to change, in order and apart.

    Indexes count the messages that are there, whatever the other edits do; beyond either end is at that end.
    """
    members = scan_members(body, _KEYS)
    return in_order(message_edits(body, members.get("messages"), messages, _written))


def _written(message: MessageEdit) -> bytes:
    role = "system" if message.role == "developer" else message.role
    return orjson.dumps({"role": role, "content": message.text})
