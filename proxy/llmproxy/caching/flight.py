"""One flight: an upstream call that several callers wait for, from take-off until its answer is in the store.

Theory of operation. Each caller has a seat. One seat leads: its `fetch` runs in a task of the flight's own, so that no
caller's leaving harms another. The others follow: they wait for what can be shared.

    state     head, bytes     head, stream      unshareable      fetch fails           last one leaves
    WAITING   LANDED          GATED             OVER, all alone  WAITING, next leads   OVER, task cancelled
    GATED     -               LANDED at the     -                WAITING, next leads   OVER, source given up
                              first piece
    LANDED    OVER when kept  OVER when kept    -                OVER                  OVER, source given up

A streamed answer lets its followers wait until its first piece: one that breaks off before it has failed before
output. An upstream that failed is tried once more for all who wait, not once for each of them.

Between the workers of a host a flight takes off only with its claim. One that does not get it tails the flight of the
worker that has: then its source is the bus, and everybody here follows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body
from llmproxy.caching.broadcasting import Broadcast
from llmproxy.caching.piloting import fly
from llmproxy.caching.saving import save
from llmproxy.caching.seats import Cabin, Keep, Landed, Seat, discard
from llmproxy.caching.sharing import Shared
from llmproxy.caching.tailing import LookAgain, WorkerGone, fresh
from llmproxy.errors import GatewayError, ProviderError, UpstreamError
from llmproxy.messages import Reply, StoredReply
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmproxy.caching.flights import Flights
    from llmproxy.caching.tailing import Head
    from llmproxy.caching.tape import Tape

WAITING, GATED, LANDED, OVER = range(4)

#: Upstream failures after which all who wait are told.
TRIES: Final = 2


class Flight:
    """What is in the air for one key: who waits for it, and what becomes of it."""

    __slots__ = (
        "_task",
        "cabin",
        "claimed",
        "failures",
        "flights",
        "ident",
        "joinable",
        "key",
        "place",
        "shared",
        "state",
    )

    def __init__(self, flights: Flights, key: bytes, ident: bytes) -> None:
        self.flights = flights
        self.key = key
        self.ident = ident
        self.place = flights.place_of(ident)
        self.cabin = Cabin()
        self.state = WAITING
        #: Whether the host's claim is this flight's.
        self.claimed = False
        #: How often the upstream has failed.
        self.failures = 0
        #: The answer, once it is here.
        self.shared: Shared | None = None
        self._task: asyncio.Task[None] | None = None
        self.joinable = True

    @property
    def tape(self) -> Tape | None:
        """The answer's tape, if it is here and streamed."""
        return None if self.shared is None else self.shared.tape

    # Callers come and leave.

    def lead(self, seat: Seat) -> None:
        """Take off with this seat's call."""
        self.cabin.leader = seat
        self._task = spawn(fly(self), name="flight")

    def join(self, seat: Seat) -> None:
        """Seat a caller; it is told at once if the answer is here."""
        if self.state == LANDED and self.shared is not None:
            seat.answer(self.shared.for_seat(seat))
        else:
            self.cabin.follow(seat, self.tire)

    def leave(self, seat: Seat) -> None:
        """A caller wants no more, even if it was told just now."""
        if seat.waiter.cancel() or seat.waiter.cancelled():
            self.cabin.remove(seat)
            self.stay_if_wanted()
        elif isinstance(told := seat.waiter.result(), Landed):
            discard(told.reply)

    def tire(self, seat: Seat) -> None:
        """A follower has waited for long enough: it goes alone."""
        self.cabin.remove(seat)
        seat.answer(None)
        self.stay_if_wanted()

    def stay_if_wanted(self) -> None:
        """Give the call up if nobody waits for it any more, or for the rest of its stream.

        A stream may begin between a caller's leaving and its being heard of here: then that caller was not told.
        """
        if self.cabin.empty and (self.tape.idle if self.tape else self.state <= GATED):
            self.abandon()

    def abandon(self) -> None:
        """Give the call up: nobody waits for it."""
        if self.tape is not None:
            self.tape.drop()
        elif self._task is not None:
            self._task.cancel()
        self.close()

    def close(self, *, kept: bool = False) -> None:
        """Let nobody join any more, and the next caller take off."""
        if self.state != OVER:
            self.state = OVER
            self.flights.land(self, kept=kept)
            if self.tape is not None:
                self.tape.close()

    # What becomes of the call.

    def failed(self, fault: BaseException) -> None:
        """The call came to nothing: the next one leads, or all who wait are told."""
        if self.state == OVER:
            return
        self.state, self.shared = WAITING, None
        if not _own(fault):
            self.failures += 1
        self.cabin.tell_leader(fault)
        if _own(fault) or self.failures < TRIES:
            self._hand_over()
        else:
            self.cabin.tell_followers(lambda _: fresh(fault))
            self.close()

    def _hand_over(self) -> None:
        seat = self.cabin.promote()
        if seat is None:
            self.cabin.tell_followers(lambda _: LookAgain(self.failures))
            self.close()
        else:
            self.flights.handed_over += 1
            self.lead(seat)

    def headed(self, seat: Seat, reply: Reply) -> Awaitable[None] | None:
        """The leader's reply is here; return what keeps it, if that takes waiting."""
        if self.state == OVER:
            discard(reply)
        elif seat.shareable is not None and seat.shareable(reply):
            self.flights.misses.lift(self.key)
            return self.share(reply, seat, keep=seat.keep)
        elif _failing(reply.status):
            self._refused(seat, reply)
        else:
            self.let_go()
            self.cabin.tell_leader(Landed(reply, "led"))
        return None

    def _refused(self, seat: Seat, reply: Reply) -> None:
        """The upstream answered that it cannot: try once more, then that is the answer of all who wait."""
        self.failures += 1
        if self.failures < TRIES or not self.cabin.followers:
            self.cabin.tell_leader(Landed(reply, "led"))
            self._hand_over()
        else:
            self.joinable = False
            self.share(reply, seat)

    def let_go(self) -> None:
        """The answer is not to be shared: each follower fetches for itself, now."""
        self.flights.misses.add(self.key)
        self.cabin.tell_followers(lambda _: None)
        self.close()

    def share(
        self, reply: Reply, seat: Seat | None = None, head: Head | None = None, keep: Keep | None = None
    ) -> Awaitable[None] | None:
        """Hand the reply out; return what keeps it, if that takes waiting."""
        self.joinable = self.joinable and (head is None or head.joinable)
        body = reply.body
        if isinstance(body, Body):
            self._broadcast(reply, body, seat, head, keep)
            return None
        stored = StoredReply(reply.status, reply.headers.raw, body)
        self.shared = Shared(stored, None, seat, head)
        self._land(reply)
        if keep is None:
            self.close()
            return None
        return save(self, keep, stored)

    def _land(self, reply: Reply | None = None) -> None:
        self.state = LANDED
        if reply is not None:
            self.cabin.tell_leader(Landed(reply, "led"))
        if self.shared is not None and self.cabin.followers:
            self.cabin.tell_followers(self.shared.for_seat)
        if not self.joinable:
            self.close()

    def _broadcast(
        self, reply: Reply, body: Body, seat: Seat | None, head: Head | None, keep: Keep | None
    ) -> None:
        stored = StoredReply(reply.status, reply.headers.raw, b"")
        tape = Broadcast(self, body, stored, seat, keep).tape
        shared = self.shared = Shared(stored, tape, seat, head)
        self.state = GATED
        leading = self.cabin.leader
        if leading is not None:
            reply.body = tape.reader()
        tape.record()
        if leading is not None and self.cabin.leader is leading and self.shared is shared:
            self.cabin.tell_leader(Landed(reply, "led"))
        self.stay_if_wanted()

    def arrive(self, error: BaseException | None = None) -> bool:
        """A stream's first piece is here, or its end; return False if that is a failure before output."""
        if self.state == GATED:
            if error is not None:
                self.failed(error)
                return False
            self._land()
        return True


def _own(fault: BaseException) -> bool:
    """Whether a call failed for a reason of the caller's own, or of a worker that is gone: another may do better."""
    if isinstance(fault, UpstreamError | ProviderError):
        return isinstance(fault, WorkerGone)
    return isinstance(fault, asyncio.CancelledError) or (
        isinstance(fault, GatewayError) and fault.status < 500
    )


def _failing(status: int) -> bool:
    """Whether an answer says that the upstream cannot answer now, rather than what it answers."""
    return status >= 500 or status in {408, 429}
