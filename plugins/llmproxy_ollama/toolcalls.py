"""Calls of tools, and which call a result answers: ids are new here, and the official client drops them."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import orjson

from llmproxy.canonical import ToolCall
from llmproxy.canonical.calls import arguments_object


def made_id(*told: object) -> str:
    """Return the id of a call that came without one: the same for the same call at the same place."""
    digest = hashlib.blake2b(digest_size=10)
    for each in told:
        digest.update(f"{each}\0".encode("utf-8", "surrogatepass"))
    return f"call_{digest.hexdigest()}"


def arguments_of(value: Any) -> str:
    """Return a call's arguments as JSON text; some write them as text themselves.

    Raises:
        ValueError: they are no object.
    """
    if isinstance(value, str):
        value = orjson.loads(value) if value.strip() else {}
    if not isinstance(value, dict | None):
        raise ValueError("a call's arguments are no object")  # noqa: TRY004  # read as one by who reads answers
    return orjson.dumps(value).decode() if value else "{}"


def written_call(call: ToolCall, place: int) -> dict[str, Any]:
    """Return a call as it stands in a message, at its place among the message's calls."""
    arguments = arguments_object(call.arguments)
    told: dict[str, Any] = {"id": call.id} if call.id else {}
    return {**told, "function": {"index": place, "name": call.name, "arguments": arguments}}


class OpenCalls:
    """The calls of a conversation that wait for their results, which name them by id, by name, or by order alone."""

    __slots__ = ("_any", "_by_id", "_by_name", "_count", "_open", "_seed")

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0
        self._open: dict[int, tuple[str, str]] = {}
        self._by_id: dict[str, int] = {}
        self._by_name: dict[str, deque[int]] = {}
        self._any: deque[int] = deque()

    def opened(self, name: str, given: str, arguments: str) -> str:
        """Note a call; return its id."""
        self._count += 1
        place, told = self._count, given or made_id(self._seed, self._count, name, arguments)
        self._open[place] = told, name
        self._by_id[told] = place
        self._by_name.setdefault(name, deque()).append(place)
        self._any.append(place)
        return told

    def answered(self, given: str, name: str) -> tuple[str, str]:
        """Note a result; return the id and the name of the call that it answers."""
        place = self._by_id.get(given, 0) if given else 0
        if place not in self._open:
            waiting = self._by_name.get(name, deque()) if name else self._any
            while waiting and waiting[0] not in self._open:
                waiting.popleft()
            place = waiting[0] if waiting and not given else 0
        if place:
            return self._open.pop(place)
        self._count += 1
        return given or made_id(self._seed, self._count, name), name
