"""How a flight gets its answer: by the leader's call, out of the store, or from the worker that makes the call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body
from llmproxy.caching.seats import discard
from llmproxy.caching.tailing import Fault, GoAlone, Head, LookAgain, Pieces, WorkerGone, error_of, first_of
from llmproxy.exchange import FETCHED_FOR_ALL
from llmproxy.messages import Headers, Reply

if TYPE_CHECKING:
    from llmproxy.bus import Peer
    from llmproxy.caching.flight import Flight
    from llmproxy.caching.hostflights import HostFlights
    from llmproxy.caching.seats import Fetch, Seat
    from llmproxy.exchange import Exchange

#: Seconds between looks at a claim that is held while its flight is not to be found: it ends, or its worker dies.
_PATIENCE: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

#: Further failures of the upstream than any flight bears.
_ENOUGH: Final = 1_000


async def fly(flight: Flight) -> None:
    """Get a flight's answer, and see it into the store."""
    seat, reply = flight.cabin.leader, None
    try:
        host = flight.flights.host
        if host is not None and not flight.claimed:
            flight.claimed = host.claim(flight.place)
            if not flight.claimed and not await _cleared(flight, host):
                return
            seat = flight.cabin.leader or flight.cabin.promote()
        if seat is None or seat.fetch is None or await _found(flight, seat):
            return
        flight.flights.led += 1
        reply = await _fetched(seat, seat.fetch)
        saving = flight.headed(seat, reply)
    except BaseException as fault:
        _fell(flight, seat, reply, fault)
        if reply is not None or not isinstance(fault, Exception):
            # Not the call's fault, or not this task's to take.
            raise
    else:
        if saving is not None:
            await saving


async def _fetched(seat: Seat, fetch: Fetch) -> Reply:
    """Make the leader's call; it goes on for the followers while its caller leaves, before any output too."""
    if seat.exchange is None:
        return await fetch()
    state = seat.exchange.state
    state[FETCHED_FOR_ALL] = True
    try:
        return await fetch()
    finally:
        del state[FETCHED_FOR_ALL]


def _fell(flight: Flight, seat: Seat | None, reply: Reply | None, fault: BaseException) -> None:
    if reply is not None:
        discard(reply)
    if seat is not None and seat.exchange is not None:
        _quit(seat.exchange)
    flight.failed(fault)


def _quit(exchange: Exchange) -> None:
    """Let no attempt go on talking to nobody; the exchange itself may be over already."""
    for attempt in exchange.attempts:
        if attempt.ended is None and attempt.body is not None:
            attempt.body.abandon_unless_wanted()


async def _found(flight: Flight, seat: Seat) -> bool:
    """Look into the store once more, if an answer may have got there since this caller came."""
    if seat.recheck is None or seat.exchange is None:
        return False
    if not flight.flights.landings.since(flight.place, seat.exchange.started):
        return False
    reply = await seat.recheck()
    if reply is None:
        return False
    flight.cabin.step_back(flight.tire)
    flight.share(reply, seat)
    return True


async def _cleared(flight: Flight, host: HostFlights) -> bool:
    """Get the claim, or the answer from who has it; return whether the call is to be made here."""
    for pause in _PATIENCE:
        peer = host.holder(flight.place)
        if peer is not None:
            flight.cabin.step_back(flight.tire)
            if await _tail(flight, host, peer):
                return False
        flight.claimed = host.claim(flight.place)
        if flight.claimed:
            return True
        await asyncio.sleep(pause)
    return True


async def _tail(flight: Flight, host: HostFlights, peer: Peer) -> bool:
    """Follow another worker's flight; return whether that has answered all who wait here."""
    frames = host.follow(peer, flight.flights.name, flight.ident)
    taken = False
    try:
        match await first_of(frames):
            case Head() as head:
                body: bytes | Body
                pieces = Pieces(frames)
                if head.streamed:
                    body, taken = Body.pumped(pieces), True
                else:
                    body = b"".join([piece async for piece in pieces])
                flight.share(Reply(head.status, Headers(list(head.headers)), body), head=head)
                if flight.shared is not None:
                    flight.shared.tail = pieces
            case GoAlone():
                flight.let_go()
            case Fault() as fault:
                flight.failures = _ENOUGH
                flight.failed(error_of(fault))
            case LookAgain() as told:
                flight.failures = max(flight.failures, told.failures)
                return False
    except WorkerGone:
        return False
    finally:
        if not taken:
            await frames.aclose()
    return True
