"""An answer on its way into the store: its flight goes on until it is there, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmproxy.caching.flight import Flight
    from llmproxy.caching.seats import Keep
    from llmproxy.messages import StoredReply

#: Seconds for which an answer may be joined while it is on its way into the store.
PATIENCE: Final = 2.0


def save(flight: Flight, keep: Keep, stored: StoredReply) -> Awaitable[None] | None:
    """Hand a whole answer to its keeper, and close the flight; return what does that, if it takes waiting."""
    try:
        saving = keep(stored)
    except BaseException:
        flight.close()
        raise
    if saving is None:
        flight.close(kept=True)
        return None
    return _wait(flight, saving)


async def _wait(flight: Flight, saving: Awaitable[None]) -> None:
    timer = asyncio.get_running_loop().call_later(PATIENCE, flight.close)
    try:
        await saving
    finally:
        timer.cancel()
        flight.close(kept=True)
