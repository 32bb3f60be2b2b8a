"""A streamed answer of a flight: what its tape tells becomes what the flight does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.caching.saving import save
from llmproxy.caching.tape import Tape
from llmproxy.messages import StoredReply
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.body import Body
    from llmproxy.caching.flight import Flight
    from llmproxy.caching.seats import Keep, Seat


class Broadcast:
    """The owner of one tape. `head` is the answer's, without a body; `leader` the seat whose call it was."""

    __slots__ = ("_flight", "_head", "_keep", "_leader", "tape")

    def __init__(
        self, flight: Flight, source: Body, head: StoredReply, leader: Seat | None, keep: Keep | None
    ) -> None:
        self._flight = flight
        self._head = head
        self._leader = leader
        self._keep = keep
        self.tape = Tape(source, self, flight.flights.spool, flight.flights.limit)

    def begun(self) -> None:
        """The first piece is here: what fails from now on has failed after output."""
        self._flight.arrive()

    def outgrown(self) -> None:
        """The answer is too large to be kept or joined; those who have it go on."""
        self._keep = None
        self._flight.close()

    def deserted(self) -> None:
        """Nobody reads it any more; somebody may wait for its first piece."""
        if self._flight.cabin.empty:
            self._flight.abandon()

    def over(self, error: BaseException | None) -> None:
        """The answer is whole, or broke off."""
        if not self._flight.arrive(error):
            return
        data = None if self._keep is None or self._told_of_error() else self.tape.recorded()
        if data is None or self._keep is None:
            self._flight.close()
        else:
            stored = StoredReply(self._head.status, self._head.headers, data)
            _ = spawn(self._save(self._keep, stored), name="flight-keep")

    def _told_of_error(self) -> bool:
        """Whether the provider ended its stream with an error: that is whole, and yet no answer."""
        exchange = None if self._leader is None else self._leader.exchange
        return exchange is not None and bool(exchange.outcome.error)

    async def _save(self, keep: Keep, stored: StoredReply) -> None:
        saving = save(self._flight, keep, stored)
        if saving is not None:
            await saving
