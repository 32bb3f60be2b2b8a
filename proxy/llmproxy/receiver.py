"""How the reply of an attempt is received: read as it comes, held until it begins, settled once at its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from llmproxy.body import HOLD_LIMIT, Body
from llmproxy.commit import GROWTH, is_plain, no_answer, no_model
from llmproxy.echoes import says
from llmproxy.inflate import Inflated
from llmproxy.masking import mask
from llmproxy.taps import WholeTap
from llmproxy.watch import Translated, Watch, judge

if TYPE_CHECKING:
    from llmproxy.dialects import Tap
    from llmproxy.exchange import Attempt, Exchange
    from llmproxy.messages import Reply
    from llmproxy.replies import Step
    from llmproxy.route import Route, Target
    from llmproxy.runtime import Clock

Fault = Callable[["Step", str, BaseException], None]

#: Bytes of a translation that are held while its source is; that is what is bounded.
MOST_TRANSLATED: Final = 8 * 1024 * 1024
#: Tokens of one call above which a provider's count is no count: it is taken for not told. What is less is counted
#: exactly in microdollars by any price that can be configured, by engines that count in floating point too.
MOST_TOKENS: Final = 2**32


class Receiver:
    """Receives the replies of a route's attempts."""

    def __init__(self, route: Route, done: tuple[Step, ...], fault: Fault, clock: Clock) -> None:
        self._route = route
        self._done = done
        self._fault = fault
        self._clock = clock

    def _received(self, exchange: Exchange, target: Target, attempt: Attempt, reply: Reply) -> Watch | None:
        """Have a reply read; return who watches it if it is to be held until it begins."""
        attempt.status = reply.status
        attempt.headers_at = self._clock.now()
        if attempt.keys is not None:
            attempt.keys.heard(attempt, reply, attempt.headers_at, partial(says, exchange))
        if not 200 <= reply.status <= 203:
            self._look_at(exchange, target, reply)
        body = reply.body
        tap = target.face.tap(exchange, reply)
        if tap is None or self._route.commit is None or reply.status >= 400 or exchange.upgraded:
            # Nobody knows how it begins, or nobody wants to; what passes over a WebSocket its caller may begin.
            attempt.committed = True
            if tap is None and self._route.models is not None and (page := no_answer(exchange, reply)):
                raise page
        coding = reply.headers.index.get(b"content-encoding")
        if coding is None and not isinstance(body, Body):
            self._read_whole(exchange, attempt, tap, reply)
            return None
        return self._observe(exchange, attempt, reply, tap)

    def _look_at(self, exchange: Exchange, target: Target, reply: Reply) -> None:
        """Look at a reply that is no plain success: an error may repeat a key, another may be no model's at all."""
        if reply.status >= 400 and target.upstream.secrets:
            mask(reply, target.upstream.secrets)
        if (fault := no_model(exchange, reply)) is not None:
            raise fault

    def _read_whole(self, exchange: Exchange, attempt: Attempt, tap: Tap | None, reply: Reply) -> None:
        """Read a reply that came in one piece, and settle its attempt."""
        if tap is not None:
            if reply.body:
                tap.feed(reply.body)  # type: ignore[arg-type]  # bytes, as the caller knows
            tap.end()
            attempt.usage = tap.usage
            if tap.first_output:
                attempt.first_output_at = attempt.headers_at
            # Of nearly all it is known without a call that nothing is wrong with them.
            well = type(tap) is WholeTap and tap.first_output and not tap.cut
            if not well and not attempt.translated and (fault := judge(exchange, attempt, tap, reply)):
                if not tap.first_output or isinstance(tap, WholeTap):
                    raise fault
                self._break(exchange, attempt, reply, fault)
        if not attempt.translated:
            self.settle(exchange, attempt, None)

    def _break(self, exchange: Exchange, attempt: Attempt, reply: Reply, fault: BaseException) -> None:
        """Have a stream that was cut after its first output end so, though all of it came in one piece."""
        data, reply.body = reply.body, (body := Body())
        reply.headers.remove("content-length")
        body.feed(data)  # type: ignore[arg-type]  # bytes, as the caller knows
        body.fail(fault)
        attempt.committed = True
        self.settle(exchange, attempt, fault)

    def _close_translated(self, exchange: Exchange, attempt: Attempt, reply: Reply) -> None:
        """Settle an attempt when its translation is whole: that may fail where the bytes came well."""
        if isinstance(reply.body, Body):
            reply.body.observe(Translated(self, exchange, attempt))
            if self._route.commit is not None:
                reply.body.hold_limit = MOST_TRANSLATED
                reply.body.show()
        else:
            self.settle(exchange, attempt, None)

    def _observe(self, exchange: Exchange, attempt: Attempt, reply: Reply, tap: Tap | None) -> Watch | None:
        """Read a reply as it passes, or one that came compressed though nobody asked for it."""
        body, terms = reply.body, self._route.commit
        watch = Watch(self, exchange, attempt, tap, reply, terms)
        coding = reply.headers.index.get(b"content-encoding", b"identity")
        reader = watch if tap is None or coding == b"identity" else Inflated(watch, coding, watch.lose_sight)
        if isinstance(body, Body):
            attempt.body = body
            body.tap = tap
            body.observe(reader)
            if terms is not None and not attempt.committed:
                body.hold_limit = terms.bytes * (1 if is_plain(reply) else GROWTH) + HOLD_LIMIT
                body.show()
                return watch
        else:
            if body:
                reader.feed(body)
            reader.end()
        return None

    def now(self) -> float:
        """Return the time."""
        return self._clock.now()

    def first_output(self, attempt: Attempt) -> None:
        """Stamp the first piece of real output."""
        attempt.first_output_at = self._clock.now()

    def settle(self, exchange: Exchange, attempt: Attempt, fault: BaseException | None) -> None:
        """Settle one attempt, once."""
        if attempt.ended is not None:
            return
        attempt.ended = self._clock.now()
        if fault is not None:
            attempt.error = fault
            if attempt.keys is not None:
                attempt.keys.judge(attempt, fault, attempt.ended, partial(says, exchange))
        attempt.complete = attempt.error is None
        if attempt.usage is not None:
            if attempt.usage.total > MOST_TOKENS:
                attempt.usage = None
            else:
                exchange.usage = attempt.usage
        for step in self._done:
            try:
                step.call(exchange, attempt)
            except Exception as error:
                self._fault(step, "attempt_done", error)

    def conclude(
        self, exchange: Exchange, attempt: Attempt, tap: Tap | None, fault: BaseException | None
    ) -> None:
        """Take over what the tap found, then settle the attempt."""
        if tap is not None:
            attempt.usage = tap.usage
            if fault is None and attempt.first_output_at is None and tap.first_output:
                self.first_output(attempt)
        if fault is not None or not attempt.translated:
            self.settle(exchange, attempt, fault)
