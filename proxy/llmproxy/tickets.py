"""What callers show in place of a key: something unguessable that an earlier answer of their provider's gave them.

An upload that was begun goes on so (Google's resumable ones): whoever knows its name may go on with it there, and SDKs
send no key any more.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.exchange import Caller
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.keys import key

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: Seconds that a ticket is good for.
GOOD_FOR: Final = 3600.0
#: Characters of one that nobody guesses, and of the longest.
_LEAST, _MOST = 20, 1024


async def keep_ticket(exchange: Exchange, ticket: str) -> None:
    """Remember that whoever shows it on this route is this exchange's caller; a store that is away remembers nothing."""
    if not _LEAST <= len(ticket) <= _MOST:
        return
    store = await exchange.route.open_memory()
    caller = exchange.caller
    told = msgspec.json.encode((caller.tenant, caller.key, caller.labels))
    try:
        await store.set(_key(exchange, ticket), told, ttl=GOOD_FOR)
    except StoreAway:
        return


async def ticket_holder(exchange: Exchange) -> Caller | None:
    """Return the caller whom an exchange without a key is of by its ticket, if its dialect knows any; else None."""
    read: Any = getattr(exchange.client_face, "ticket", None)
    ticket = None if read is None else read(exchange.request)
    if not ticket or not _LEAST <= len(ticket) <= _MOST:
        return None
    store = await exchange.route.open_memory()
    try:
        told = await store.get(_key(exchange, ticket))
    except StoreAway:
        return None
    if told is None:
        return None
    tenant, name, labels = msgspec.json.decode(told, type=tuple[str, str, tuple[tuple[str, str], ...]])
    return Caller(tenant, name, labels)


def _key(exchange: Exchange, ticket: str) -> bytes:
    """Tickets are of no tenant until they are shown: only their digest is kept."""
    return key("-", exchange.route.name, "ticket", sha256(ticket.encode()).digest())
