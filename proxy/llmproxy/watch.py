"""Who watches one reply as it passes: has the tap read it, and settles its attempt at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.body import OPEN, Body
from llmproxy.commit import bad_start, broken_off, cut_short, failed_midway, unreadable
from llmproxy.errors import UpstreamTimeout
from llmproxy.taps import WholeTap

if TYPE_CHECKING:
    from llmproxy.commit import Terms, Waiting
    from llmproxy.dialects import Tap
    from llmproxy.errors import GatewayError
    from llmproxy.exchange import Attempt, Exchange
    from llmproxy.messages import Reply
    from llmproxy.receiver import Receiver


class Watch:
    """The observer of one reply: feeds the tap, stamps the first output, settles the attempt at the end."""

    __slots__ = (
        "_attempt",
        "_attempts",
        "_blind",
        "_body",
        "_exchange",
        "_tap",
        "_waiting",
        "feed",
        "reply",
        "terms",
        "whole",
    )

    def __init__(
        self,
        attempts: Receiver,
        exchange: Exchange,
        attempt: Attempt,
        tap: Tap | None,
        reply: Reply,
        terms: Terms | None = None,
    ) -> None:
        self._attempts = attempts
        self._body = reply.body if isinstance(reply.body, Body) else None
        self._waiting: Waiting | None = None
        #: What it is that nothing more can be read: None while it can, else the error that it is before output.
        self._blind: tuple[GatewayError | None] | None = None
        #: Within which bounds the reply is held, None if it is not.
        self.terms = terms
        #: The upstream's reply, before anything was changed.
        self.reply = reply
        #: Whether the answer is of use only as a whole.
        self.whole = type(tap) is WholeTap
        self._exchange = exchange
        self._attempt = attempt
        self._tap = tap
        self.feed: Callable[[bytes], None] = _ignore if tap is None else self._until_output

    def _until_output(self, data: bytes) -> None:
        tap = self._tap
        if tap is None:
            return
        tap.feed(data)
        if tap.first_output:
            self._attempts.first_output(self._attempt)
            # From here on the tap is fed without this detour.
            self.feed = tap.feed
            if self._waiting is not None:
                self._waiting.stop()
        elif self._waiting is not None:
            self._waiting.feed(data)

    @property
    def waits(self) -> bool:
        """Whether the reply has not begun, as far as is known."""
        return self._attempt.first_output_at is None or self.whole

    def now(self) -> float:
        """Return the time."""
        return self._attempts.now()

    def hear(self, waiting: Waiting) -> None:
        """Tell of the reply's beginning: what has come of it, and what comes."""
        self._waiting = waiting
        if self.whole:
            self.feed = self._feed_whole
        held = b"" if self._body is None else self._body.peek()
        if held:
            waiting.feed(held)
        if self._blind is not None:
            self._give_up_waiting(*self._blind)

    def lose_sight(self, broken: bool) -> None:
        """Hear that what comes can be read no more: its coding is unknown, or `broken`, so that nobody can read it."""
        self._blind = (unreadable() if broken else None,)
        self._give_up_waiting(*self._blind)

    def _give_up_waiting(self, fault: GatewayError | None) -> None:
        if self._waiting is not None:
            self._waiting.fault = self._waiting.fault or fault
            self._waiting.stop()

    def _feed_whole(self, data: bytes) -> None:
        if self._tap is not None and self._waiting is not None:
            self._tap.feed(data)
            self._waiting.feed(data)

    def end(self) -> None:
        """The reply is complete, as far as its framing tells: a stream without its own end is cut all the same."""
        tap, fault = self._tap, None
        if tap is not None:
            tap.end()
            body = self._body
            if body is not None and not self._attempt.translated:
                fault = judge(self._exchange, self._attempt, tap, self.reply, body)
                if fault is not None:
                    body.spoil(fault)
        self._attempts.conclude(self._exchange, self._attempt, tap, fault)
        self._stop_waiting()

    def fail(self, error: BaseException) -> None:
        """The reply broke off."""
        tap = self._tap
        if tap is not None:
            tap.fail(error)
            if not self._attempt.committed:
                error = broken_off(error, output=tap.first_output and not self.whole)
        self._attempts.conclude(self._exchange, self._attempt, tap, error)
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()


class Translated:
    """The observer of a translated stream: settles its attempt at the end."""

    __slots__ = ("_attempt", "_attempts", "_exchange")

    def __init__(self, attempts: Receiver, exchange: Exchange, attempt: Attempt) -> None:
        self._attempts = attempts
        self._exchange = exchange
        self._attempt = attempt

    def feed(self, data: bytes) -> None:
        """Nothing is read here."""

    def end(self) -> None:
        """The translation is whole, or ended with the provider's own error, which the attempt knows."""
        self._attempts.settle(self._exchange, self._attempt, None)

    def fail(self, error: BaseException) -> None:
        """It broke off."""
        attempt = self._attempt
        if not attempt.committed:
            error = broken_off(error, output=attempt.first_output_at is not None)
        self._attempts.settle(self._exchange, attempt, error)


class Expiry:
    """The observer that ends a body at a deadline, where no connection does: `at` is on the loop's clock."""

    __slots__ = ("_body", "_seconds", "_timer")

    def __init__(self, body: Body, at: float, seconds: float) -> None:
        self._body = body
        self._seconds = seconds
        self._timer = asyncio.get_running_loop().call_at(at, self._expire)

    def _expire(self) -> None:
        if self._body.state == OPEN:
            self._body.abandon()
            self._body.fail(UpstreamTimeout("total", self._seconds, sent=True))

    def feed(self, data: bytes) -> None:
        """Nothing is read here."""

    def end(self) -> None:
        """It came in time."""
        self._timer.cancel()

    def fail(self, error: BaseException) -> None:
        """It came to an end in time, if not to a good one."""
        self._timer.cancel()


def judge(
    exchange: Exchange, attempt: Attempt, tap: Tap, reply: Reply, body: Body | None = None
) -> GatewayError | None:
    """Return what is wrong with a reply that has come to its end, as far as its framing tells.

    `body` is the reply's where it came in pieces.
    """
    if not tap.first_output and not attempt.committed:
        told = reply.body if body is None else body.peek()
        return bad_start(reply, tap, told if isinstance(told, bytes) else b"")
    if getattr(tap, "cut", False):
        return cut_short("body" if tap.first_output and type(tap) is not WholeTap else "first_token")
    if getattr(tap, "failed", False):
        # The caller has the provider's own words for it, or will have: they are part of the answer.
        attempt.committed = True
        attempt.error = error = failed_midway()
        exchange.outcome.result, exchange.outcome.error = "upstream_error", error.code
    return None


def _ignore(data: bytes) -> None:
    return None
