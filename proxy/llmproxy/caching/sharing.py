"""An answer that several callers get: its head as it came, its body whole or on tape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.caching.seats import Elsewhere, Landed
from llmproxy.caching.tailing import Head
from llmproxy.exchange import Endpoint
from llmproxy.messages import Headers, Reply, StoredReply
from llmproxy.secondhand import FOLLOWED

if TYPE_CHECKING:
    from llmproxy.caching.seats import Seat
    from llmproxy.caching.tailing import Pieces
    from llmproxy.caching.tape import Tape
    from llmproxy.exchange import Usage


class Shared:
    """A reply to be handed out: each caller gets its own, untouched by what the others do with theirs.

    It is known by the seat whose call it was, or by what another worker told of it, or (out of the store) by neither.
    """

    __slots__ = ("_head", "_leader", "_variant", "stored", "tail", "tape")

    def __init__(
        self,
        stored: StoredReply,
        tape: Tape | None,
        leader: Seat | None = None,
        head: Head | None = None,
    ) -> None:
        self.stored = stored
        self.tape = tape
        #: Where another worker's is followed.
        self.tail: Pieces | None = None
        self._leader = leader
        self._head = head
        self._variant: bytes | None = None if head is None else head.variant

    def variant(self) -> bytes:
        """Return which of several answers it is, as the leader says (RFC 9111 §4.1)."""
        if self._variant is None:
            ask = None if self._leader is None else self._leader.variant
            self._variant = b"" if ask is None else ask(self.stored.replay())
        return self._variant

    def for_seat(self, seat: Seat) -> Landed | Elsewhere:
        """Return a follower's reply, unless it needs another variant."""
        stored, tape = self.stored, self.tape
        reply = Reply(stored.status, Headers(list(stored.headers)), stored.body)
        if seat.variant is not None:
            variant = seat.variant(reply)
            if variant != self.variant():
                return Elsewhere(variant)
        if tape is not None:
            reply.body = tape.reader()
        self._tell(seat)
        return Landed(reply, "joined")

    def usage(self) -> Usage | None:
        """Return what its call used; None before that is known."""
        if self.tail is not None:
            return self.tail.usage
        exchange = None if self._leader is None else self._leader.exchange
        return None if exchange is None else exchange.usage

    def _tell(self, seat: Seat) -> None:
        """Let a follower's exchange know of the call what decides how its answer is passed on."""
        exchange = seat.exchange
        if exchange is None:
            return
        exchange.state[FOLLOWED] = self.usage
        if self._head is not None:
            exchange.usage_added = self._head.usage_added
            if self._head.upstream:
                exchange.endpoint = Endpoint(self._head.upstream, self._head.model)
        elif self._leader is not None and self._leader.exchange is not None:
            exchange.usage_added = self._leader.exchange.usage_added
            exchange.endpoint = self._leader.exchange.endpoint or exchange.endpoint

    def head(self, *, joinable: bool) -> Head:
        """Return what another worker is told of it."""
        exchange = None if self._leader is None else self._leader.exchange
        endpoint = None if exchange is None else exchange.endpoint
        return Head(
            self.stored.status,
            self.stored.headers,
            self.tape is not None,
            joinable,
            self.variant(),
            exchange is not None and exchange.usage_added,
            "" if endpoint is None else endpoint.upstream,
            None if endpoint is None else endpoint.model,
        )
