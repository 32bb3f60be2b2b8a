"""The callers of a flight, and what each of them is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmproxy.body import Body
from llmproxy.caching.tailing import LookAgain
from llmproxy.messages import Reply, StoredReply

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

Role = Literal["led", "joined", "alone"]
Fetch = Callable[[], Awaitable[Reply]]
Shareable = Callable[[Reply], bool]
Keep = Callable[[StoredReply], Awaitable[None] | None]
Recheck = Callable[[], Awaitable[Reply | None]]
Variant = Callable[[Reply], bytes]


class Landed(NamedTuple):
    """A caller's own reply, and how it came by it.

    `role` is `led` if this caller's call was for all who waited, `joined` if another's was, `alone` if it made one for
    itself, whose answer `keep` gets too if it may be shared.
    """

    reply: Reply
    role: Role


class Elsewhere(NamedTuple):
    """The answer is of another variant than this caller's."""

    variant: bytes


#: What a caller that waited is told; None: fetch for yourself.
Answer = Landed | Elsewhere | LookAgain | BaseException | None


class Seat:
    """One caller's place in a flight; without `fetch` it is another worker's, which brings its own callers.

    `limit` is how many seconds it waits for another's answer, 0 for ever.
    """

    __slots__ = (
        "exchange",
        "fetch",
        "keep",
        "limit",
        "recheck",
        "shareable",
        "timer",
        "variant",
        "waiter",
    )

    def __init__(  # one field each, built on the hot path
        self,
        exchange: Exchange | None = None,
        fetch: Fetch | None = None,
        shareable: Shareable | None = None,
        keep: Keep | None = None,
        recheck: Recheck | None = None,
        variant: Variant | None = None,
        limit: float = 0.0,
    ) -> None:
        self.exchange = exchange
        self.fetch = fetch
        self.shareable = shareable
        self.keep = keep
        self.recheck = recheck
        self.variant = variant
        self.limit = limit
        self.timer: asyncio.TimerHandle | None = None
        self.waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answer(self, told: Answer) -> None:
        """Tell a caller that still waits; what is meant for one that has left is given up."""
        if not self.waiter.done():
            self.waiter.set_result(told)
        elif isinstance(told, Landed):
            discard(told.reply)

    def settle(self) -> None:
        """Stop the clock."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


Tire = Callable[[Seat], None]


class Cabin:
    """Who waits in one flight: the seat that leads, if its caller is still there, and the followers as they came."""

    __slots__ = ("followers", "leader")

    def __init__(self) -> None:
        self.leader: Seat | None = None
        self.followers: dict[Seat, None] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody waits."""
        return self.leader is None and not self.followers

    def follow(self, seat: Seat, tire: Tire) -> None:
        """Take in a follower; after its limit `tire` is called with it."""
        self.followers[seat] = None
        if seat.limit:
            seat.timer = asyncio.get_running_loop().call_later(seat.limit, tire, seat)

    def step_back(self, tire: Tire) -> None:
        """Make the leader a follower, before the others."""
        leader, self.leader = self.leader, None
        if leader is not None:
            others, self.followers = self.followers, {}
            self.follow(leader, tire)
            self.followers.update(others)

    def promote(self) -> Seat | None:
        """Let the first follower that can make a call lead, and return it."""
        for seat in self.followers:
            if seat.fetch is not None and not seat.waiter.done():
                del self.followers[seat]
                seat.settle()
                self.leader = seat
                return seat
        return None

    def remove(self, seat: Seat) -> None:
        """Forget a caller."""
        if seat is self.leader:
            self.leader = None
        else:
            self.followers.pop(seat, None)

    def tell_leader(self, answer: Answer) -> None:
        """Tell the leader, which then no longer waits."""
        leader, self.leader = self.leader, None
        if leader is not None:
            leader.answer(answer)
        elif isinstance(answer, Landed):
            discard(answer.reply)

    def tell_followers(self, answer: Callable[[Seat], Answer]) -> None:
        """Tell each follower its own answer, or what finding it raised; none of them waits any longer."""
        waiting, self.followers = self.followers, {}
        for seat in waiting:
            if not seat.waiter.done():
                try:
                    told = answer(seat)
                except Exception as fault:
                    told = fault
                seat.answer(told)


def discard(reply: Reply) -> None:
    """Give up a reply that nobody takes."""
    if isinstance(reply.body, Body):
        reply.body.abandon()
