"""`GET /logs`: what an operator asks of the records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from llmproxy.plugin import AdminRequest, Clock, GatewayError, Reply
from llmproxy_calllog.asking import AnyReader, NotALog
from llmproxy_calllog.call import told
from llmproxy_calllog.filtering import BadFilter, Filter, read_filter


class Desk:
    """Answers from the database; nothing is held open between two questions."""

    def __init__(self, opening: Callable[[], AnyReader], clock: Clock) -> None:
        self._opening = opening
        self._clock = clock

    async def answer(self, request: AdminRequest) -> Reply:
        """Return a page of records, newest first, and the number that the next page is `before`."""
        wanted = self._wanted(request.request.query)
        try:
            calls = await asyncio.to_thread(read, self._opening, wanted)
        except NotALog as fault:
            raise GatewayError(503, "no_log", f"The log of calls cannot be read: {fault}.") from fault
        full = len(calls) == wanted.limit
        return Reply.json(
            {"calls": list(map(told, calls)), "next": calls[-1]["number"] if full else None},
            headers={"Cache-Control": "no-store"},
        )

    def _wanted(self, query: str) -> Filter:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        asked = dict(pairs)
        if len(asked) != len(pairs):
            raise GatewayError(400, "bad_filter", "A filter is given twice.")
        try:
            return read_filter(asked, self._clock.wall())
        except BadFilter as fault:
            raise GatewayError(400, "bad_filter", str(fault)) from None


def read(opening: Callable[[], AnyReader], wanted: Filter) -> list[dict[str, Any]]:
    """Return the records that are wanted."""
    reader = opening()
    try:
        return reader.read(wanted)
    finally:
        reader.close()
