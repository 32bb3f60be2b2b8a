"""Single flight: identical requests that are in the air together make one upstream call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.body import Body, Recording
from llmproxy.caching.flight import Flight
from llmproxy.caching.growth import Growth
from llmproxy.caching.landings import Landings, place_of
from llmproxy.caching.missmemory import MissMemory
from llmproxy.caching.seats import (
    Answer,
    Elsewhere,
    Fetch,
    Keep,
    Landed,
    Recheck,
    Seat,
    Shareable,
    Variant,
    discard,
)
from llmproxy.caching.tailing import GoAlone, LookAgain, encode, fault_of, frames_of, fresh
from llmproxy.caching.tape import LIMIT, Spool
from llmproxy.errors import GatewayError
from llmproxy.messages import StoredReply
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.caching.hostflights import HostFlights
    from llmproxy.exchange import Exchange
    from llmproxy.metrics import Metrics
    from llmproxy.runtime import Runtime

__all__ = ["Flights", "Landed"]

#: Seconds between two looks whether other workers have had all, and how many looks there are.
_MOMENT: Final = 0.02
_MOMENTS: Final = 100

#: Seconds for which a caller waits that would rather not.
_NO_TIME: Final = 1e-6

#: Seconds that a caller waits for another's answer before it makes its own call.
WAIT_LIMIT: Final = 60.0


class Flights:
    """The flights of one cache in this process; with `host`, those of its name in the other workers are joined too.

    `led`, `joined` and `alone` count callers by how they came by their answers (a caller whose own call failed has
    led), `handed_over` how often a follower took a failed leader's place.
    """

    def __init__(
        self,
        name: str = "flights",
        host: HostFlights | None = None,
        *,
        misses: MissMemory | None = None,
        limit: int = LIMIT,
        spool: Spool | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.misses = misses if misses is not None else MissMemory()
        self.limit = limit
        self.spool = spool or Spool()
        self.landings = Landings() if host is None else host.landings
        self.led = self.joined = self.alone = self.handed_over = 0
        self._flying: dict[bytes, Flight] = {}
        #: How many answers other workers are being sent.
        self._tails = 0
        self._leave = None if host is None else host.answer(name, self._tailed)

    @classmethod
    @asynccontextmanager
    async def of(cls, runtime: Runtime, name: str) -> AsyncIterator[Flights]:
        """Hold the flights called `name`, shared by all who ask for that name; they survive reloads."""
        from llmproxy.caching.hostflights import HostFlights  # noqa: PLC0415  # brings the bus

        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(HostFlights.of(runtime))
            make = partial(_opened, name, host, runtime.metrics)
            yield await stack.enter_async_context(runtime.shared(_Named(name), make))

    def __len__(self) -> int:
        """Return how many are in the air."""
        return len(self._flying)

    def counts(self) -> dict[str, int]:
        """Return the counts by name, as the metrics have them."""
        return {
            "led": self.led,
            "joined": self.joined,
            "alone": self.alone,
            "handed_over": self.handed_over,
        }

    async def run(  # noqa: PLR0913  # all but three by keyword
        self,
        key: bytes,
        exchange: Exchange,
        fetch: Fetch,
        *,
        shareable: Shareable,
        keep: Keep | None = None,
        recheck: Recheck | None = None,
        variant: Variant | None = None,
        epoch: int = 0,
        wait_limit: float = WAIT_LIMIT,
    ) -> Landed:
        """Return an answer to this key: by calling `fetch`, or from whoever does that now, here or in another worker.

        Cancelling it harms no other caller; the upstream call is given up when the last one has left.

        Args:
            key: what makes two requests identical, tenant and route included.
            exchange: the caller's.
            fetch: makes the upstream call. It runs in a task of its own, and for one of the callers only.
            shareable: whether an answer may be given to others, asked once its head is here. If not, all who wait
                fetch for themselves at once, and those who come next do not wait (`MissMemory`).
            keep: gets a shareable answer that is whole; nobody else fetches until what it returns is done.
            recheck: looks into the store again, where an answer may have got since this exchange began.
            variant: which of several answers to one key a caller needs, told from an answer's head (`Vary`).
            epoch: callers of different epochs never share: a purge begins a new one, so that nobody who comes after it
                gets an answer asked for before it.
            wait_limit: seconds that this caller waits for another's answer before it fetches for itself.

        Raises:
            Exception: what `fetch` raised, this caller's own or, if the upstream failed twice, another's.
        """
        seat = Seat(exchange, fetch, shareable, keep, recheck, variant, wait_limit or _NO_TIME)
        if key in self.misses.until and key in self.misses:
            return await self._go_alone(key, seat)
        ident = key if not epoch else b"%d\0%b" % (epoch, key)
        flight = self._flying.get(ident)
        if flight is None:
            flight = self._flying[ident] = Flight(self, key, ident)
            flight.lead(seat)
        else:
            flight.join(seat)
        told = await _told(flight, seat)
        if isinstance(told, Landed):
            if told.role == "joined":
                self.joined += 1
            return told
        if isinstance(told, BaseException):
            raise told
        if isinstance(told, Elsewhere):
            return await self.run(
                b"%b\0%b" % (key, told.variant),
                exchange,
                fetch,
                shareable=shareable,
                keep=keep,
                recheck=recheck,
                epoch=epoch,
                wait_limit=wait_limit,
            )
        return await self._go_alone(key, seat)

    async def _go_alone(self, key: bytes, seat: Seat) -> Landed:
        """Fetch for one caller; what proves shareable is kept, and lifts the key from the memory of misses."""
        assert seat.fetch is not None
        assert seat.shareable is not None
        self.alone += 1
        reply = await seat.fetch()
        try:
            shareable = seat.shareable(reply)
        except BaseException:
            discard(reply)
            raise
        if shareable:
            self.misses.lift(key)
            if seat.keep is not None:
                self._keep_alone(Landed(reply, "alone"), seat.keep, seat.exchange)
        return Landed(reply, "alone")

    def _keep_alone(self, landed: Landed, keep: Keep, exchange: Exchange | None) -> None:
        reply = landed.reply
        status, headers, body = reply.status, tuple(reply.headers.raw), reply.body
        if not isinstance(body, Body):
            _ = spawn(_kept(keep, StoredReply(status, headers, body)), name="flight-keep")
            return

        def complete() -> None:
            whole = recording.whole()
            if whole is not None and (exchange is None or not exchange.outcome.error):
                _ = spawn(_kept(keep, StoredReply(status, headers, whole)), name="flight-keep")

        recording = Recording(self.limit, complete)
        body.observe(recording)

    # What flights ask.

    def place_of(self, ident: bytes) -> int:
        """Return the number that stands for a flight, on this host if there are other workers."""
        return hash(ident) if self.host is None else place_of(self.name, ident)

    def land(self, flight: Flight, *, kept: bool) -> None:
        """Make room for the next flight of that key."""
        if self._flying.get(flight.ident) is flight:
            del self._flying[flight.ident]
        if kept:
            self.landings.stamp(flight.place)
        if flight.claimed and self.host is not None:
            flight.claimed = False
            self.host.release(flight.place)

    # What other workers ask.

    async def _tailed(self, ident: bytes) -> AsyncGenerator[bytes, None]:
        """Tell another worker what becomes of a flight that this one leads."""
        flight = self._flying.get(ident)
        if flight is None or not flight.claimed:
            yield encode(LookAgain())
            return
        seat = Seat()
        flight.join(seat)
        told = await _told(flight, seat)
        if isinstance(told, Landed) and flight.shared is not None:
            self._tails += 1
            try:
                yield encode(flight.shared.head(joinable=flight.joinable))
                async with aclosing(frames_of(told.reply.body, flight.shared.usage)) as frames:
                    async for frame in frames:
                        yield frame
            finally:
                self._tails -= 1
                discard(told.reply)
        elif isinstance(told, BaseException):
            yield encode(fault_of(told))
        else:
            yield encode(told if isinstance(told, LookAgain) else GoAlone())

    async def close(self) -> None:
        """Let other workers have the rest of what they follow, for a moment; then give up what is in the air."""
        if self._leave is not None:
            self._leave()
        for _ in range(_MOMENTS):
            if not self._tails:
                break
            await asyncio.sleep(_MOMENT)
        for flight in list(self._flying.values()):
            stopping = GatewayError(503, "stopping", "The gateway is stopping.")
            flight.cabin.tell_leader(stopping)
            flight.cabin.tell_followers(lambda _: fresh(stopping))  # noqa: B023  # called at once
            flight.abandon()


class _Named(NamedTuple):
    """What flights are shared under."""

    name: str


@asynccontextmanager
async def _opened(name: str, host: HostFlights | None, metrics: Metrics) -> AsyncIterator[Flights]:
    flights = Flights(name, host)
    growth = Growth(
        metrics.counter(
            "llmproxy_cache_flights_total",
            "Callers of single flights, by how they came by their answers, and leaders that were replaced.",
            ("cache", "role"),
        ),
        (name,),
        flights.counts,
    )
    end = metrics.collect(growth.tell)
    try:
        yield flights
    finally:
        await flights.close()
        end()


async def _told(flight: Flight, seat: Seat) -> Answer:
    """Wait for what a seat is told."""
    try:
        return await seat.waiter
    except asyncio.CancelledError:
        flight.leave(seat)
        raise
    finally:
        seat.settle()


async def _kept(keep: Keep, reply: StoredReply) -> None:
    saving = keep(reply)
    if saving is not None:
        await saving
