"""Who has which key: every step is one atomic step of the store, so that of many workers one wins.

    state      claim             mark_sent    keep    release    lose        its worker dies
    (none)     CLAIMED           -            -       -          -           -
    FREE       CLAIMED           -            -       -          -           -
    CLAIMED    (refused)         SENT         KEPT    FREE       -           CLAIMED by whoever comes next
    SENT       (refused)         -            KEPT    FREE       UNKNOWN     unknown to whoever comes next
    KEPT       (its answer)      -            -       -          -           stays
    UNKNOWN    (refused)         -            -       -          -           stays

Beside the record stands a counter of what was sent, which no store evicts for its entries: whoever is about to send, and
finds that something was sent before, learns that the record was lost, and does not send as if it were the first.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from secrets import token_bytes
from typing import Protocol

from llmproxy.plugin import Clock, Store, StoreAway
from llmproxy_idempotency.heart import Heart
from llmproxy_idempotency.record import BadRecord, Record, State

#: Bytes of an answer that stand in the record itself; a longer one has a key of its own.
INLINE = 8 << 10

#: Seconds for which a key that was given back is remembered as free.
FREED = 60.0

_TRIES = 4
_MOST_DEFERRED = 1024
_MOST_DEFERRED_BYTES = 16 << 20


class Taken(Exception):
    """Another worker has this claim by now: nothing may be sent for it."""


class Lost(Exception):
    """Something was sent under this key, and its record is gone: nothing may be sent for it."""


class Claim:
    """A key that this worker has, from `Ledger.claim` to its end.

    `sent` once the request may have left, `counted` while the counter has it; `again` if it was sent before as well.
    """

    __slots__ = ("again", "counted", "held", "name", "open", "record", "sent", "ttl")

    def __init__(self, name: bytes, record: Record, ttl: float) -> None:
        self.name = name
        self.record = record
        self.held = record.pack()
        self.ttl = ttl
        self.sent = self.counted = self.again = False
        self.open = True


class Witness(Protocol):
    """The part of a store's counters that is needed here."""

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int: ...


class Ledger:
    """The keys of one store, as this worker has and sees them. Methods raise `StoreAway` where it says so."""

    def __init__(self, store: Store, heart: Heart, clock: Clock) -> None:
        self._store = store
        self._heart = heart
        self._clock = clock
        self._witness = _counters(store)
        self._deferred: OrderedDict[bytes, tuple[Claim, Record, bytes]] = OrderedDict()
        self._deferred_bytes = 0

    async def claim(
        self, name: bytes, fingerprint: bytes, ttl: float, *, resend: bool = False
    ) -> Claim | Record:
        """Take the key called `name`, or return what is known of it.

        With `resend`, a request whose outcome is unknown is anybody's again.

        Raises:
            StoreAway: it is not known whether it was taken; what may be left of it is cleared away.
        """
        await self._heart.ensure()
        record = Record.claimed(fingerprint, self._heart.owner, token_bytes(8), self._clock.wall())
        claim = Claim(name, record, ttl)
        try:
            return await self._take(claim, resend=resend)
        except StoreAway:
            claim.open = False
            self._defer(claim, record.free())
            raise

    async def lives(self, record: Record) -> bool:
        """Say whether the worker that has a key still works on it."""
        return await self._heart.lives(record.owner)

    async def body(self, name: bytes, record: Record) -> bytes | None:
        """Return a kept answer's body, None if it is gone."""
        return await self._store.get(name + record.nonce) if record.apart else record.body

    async def mark_sent(self, claim: Claim) -> None:
        """Say, before it happens, that the request may reach the upstream from now on.

        Raises:
            Taken: another worker has it.
            Lost: something was sent before, and its record is gone.
            StoreAway: the store does not know it, so nothing may be sent.
        """
        if await self._count(claim) > 1 and not claim.again:
            await self.lose(claim, "record_lost")
            raise Lost
        record = claim.record.sent()
        packed = record.pack()
        if not await self._store.swap(claim.name, claim.held, packed, claim.ttl):
            claim.open = False
            with suppress(StoreAway):
                await self._uncount(claim)
            raise Taken
        claim.record, claim.held, claim.sent = record, packed, True

    # The end of a claim: whatever the store does, the caller's answer is not held up by it.

    async def keep(
        self, claim: Claim, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes
    ) -> None:
        """Keep the upstream's answer."""
        apart = len(body) > INLINE
        record = claim.record.kept(status, headers, body, apart=apart)
        await self._conclude(claim, record, body if apart else b"")

    async def drop(self, claim: Claim, status: int, reason: str) -> None:
        """Keep that there was an answer."""
        await self._conclude(claim, claim.record.dropped(status, reason))

    async def lose(self, claim: Claim, reason: str) -> None:
        """Keep that nobody knows."""
        await self._conclude(claim, claim.record.unknown(reason))

    async def release(self, claim: Claim) -> None:
        """Give the key back: nothing was executed, unless it was before."""
        await self._conclude(claim, claim.record.unknown("resent") if claim.again else claim.record.free())

    async def flush(self) -> None:
        """Write what could not be written when it was due."""
        while self._deferred:
            _, (claim, record, body) = self._deferred.popitem(last=False)
            self._deferred_bytes -= len(body)
            if not await self._conclude(claim, record, body):
                return

    async def _take(self, claim: Claim, *, resend: bool) -> Claim | Record:
        record = None
        for _ in range(_TRIES):
            if await self._add(claim.name, claim.held, claim.ttl):
                return claim
            held = await self._store.get(claim.name)
            if held is None:
                continue
            record = _read(held, claim.record)
            if not await self._is_free(record, claim.record, resend=resend):
                return record
            if await self._store.swap(claim.name, held, claim.held, claim.ttl):
                claim.again = record.state in (State.SENT, State.UNKNOWN)
                return claim
        if record is None:
            raise StoreAway("the store forgets what it has just been given")
        return record

    async def _is_free(self, record: Record, mine: Record, *, resend: bool) -> bool:
        if record.state == State.FREE:
            return True
        if record.state == State.CLAIMED:
            return not await self.lives(record)
        if not resend or record.fingerprint != mine.fingerprint:
            return False
        return record.state == State.UNKNOWN or (record.state == State.SENT and not await self.lives(record))

    async def _add(self, name: bytes, value: bytes, ttl: float) -> bool:
        try:
            return await self._store.add(name, value, ttl)
        except ValueError:
            return False

    async def _count(self, claim: Claim) -> int:
        """Count what is about to be sent; return how often that was."""
        if self._witness is None:
            return 1
        times = await self._witness.increment(claim.name, 1, claim.ttl)
        claim.counted = True
        return times

    async def _conclude(self, claim: Claim, record: Record, body: bytes = b"") -> bool:
        """Write a claim's end, now or later; return False for later."""
        claim.open = False
        try:
            if body and not await self._store.set(claim.name + record.nonce, body, ttl=claim.ttl):
                record = record.dropped(record.status, "store_refused")
            if record.state == State.FREE:
                await self._free(claim, record)
            else:
                await self._write(claim, record, claim.ttl)
        except StoreAway:
            self._defer(claim, record, body)
            return False
        return True

    async def _free(self, claim: Claim, record: Record) -> None:
        """Take back what was counted, then the claim."""
        await self._uncount(claim)
        await self._write(claim, record, FREED)

    async def _uncount(self, claim: Claim) -> None:
        if claim.counted and self._witness is not None:
            await self._witness.increment(claim.name, -1, claim.ttl)
            claim.counted = False

    async def _write(self, claim: Claim, record: Record, ttl: float) -> bool:
        """Put a claim's end in its place, even if a write was not heard of or all was lost; False if it is another's."""
        if await self._store.swap(claim.name, claim.held, record.pack(), ttl):
            return True
        held = await self._store.get(claim.name)
        if held is None:
            return record.state == State.FREE or await self._add(claim.name, record.pack(), ttl)
        return _read(held, record).nonce == record.nonce and await self._store.swap(
            claim.name, held, record.pack(), ttl
        )

    def _defer(self, claim: Claim, record: Record, body: bytes = b"") -> None:
        if self._deferred_bytes + len(body) > _MOST_DEFERRED_BYTES:
            record, body = record.dropped(record.status, "store_away"), b""
        self._deferred[record.nonce] = claim, record, body
        self._deferred_bytes += len(body)
        if len(self._deferred) > _MOST_DEFERRED:
            _, (_, _, oldest) = self._deferred.popitem(last=False)
            self._deferred_bytes -= len(oldest)


def _read(held: bytes, mine: Record) -> Record:
    """Read a record; of one that cannot be read nothing is known, and so it is said."""
    try:
        return Record.unpack(held)
    except BadRecord:
        return mine.unknown("record_unreadable")


def _counters(store: Store) -> Witness | None:
    """Return the store's counters, None where it keeps none."""
    try:
        return store.counters
    except ValueError:
        return None
