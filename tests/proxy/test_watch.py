"""Who watches a reply: what ends it, and when it ends by itself."""

from __future__ import annotations

import asyncio

from llmproxy.body import FAILED, Body
from llmproxy.errors import ProviderError, UpstreamTimeout
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.messages import Headers, Reply
from llmproxy.testing import make_exchange
from llmproxy.watch import Expiry, judge


class Tap:
    """One that has found what it is told."""

    usage = None

    def __init__(
        self, *, output: bool, terminal: bool = True, cut: bool = False, failed: bool = False
    ) -> None:
        self.first_output, self.terminal, self.cut, self.failed = output, terminal, cut, failed

    def feed(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, error: BaseException) -> None: ...


def judged(tap: Tap, *, committed: bool = False) -> tuple[str, Attempt]:
    attempt = Attempt(1, Endpoint("a"), 0.0, committed=committed)
    reply = Reply(200, Headers.of({"Content-Type": "text/event-stream"}), b"data: {}\n\n")
    fault = judge(make_exchange(), attempt, tap, reply)
    return "" if fault is None else f"{fault.code} {getattr(fault, 'phase', '')}", attempt


def test_an_end_is_judged_by_what_came_before_it() -> None:
    assert judged(Tap(output=True))[0] == ""
    assert judged(Tap(output=False))[0] == ""
    assert judged(Tap(output=False, terminal=False))[0] == "upstream_cut first_token"
    assert judged(Tap(output=True, terminal=False, cut=True))[0] == "upstream_cut body"
    assert judged(Tap(output=False, terminal=False), committed=True)[0] == ""


def test_an_error_after_output_is_told_and_counts_as_a_failure() -> None:
    told, attempt = judged(Tap(output=True, failed=True))

    assert told == ""
    assert isinstance(attempt.error, ProviderError)
    assert attempt.committed


async def test_a_body_ends_at_its_deadline() -> None:
    left: list[str] = []
    body = Body(abandon=lambda: left.append("left"))
    body.observe(Expiry(body, asyncio.get_running_loop().time() + 0.01, 3.0))
    while body.state != FAILED:
        await asyncio.sleep(0.005)

    assert isinstance(body.error, UpstreamTimeout)
    assert left == ["left"]


async def test_a_body_that_ended_in_time_stays_as_it_is() -> None:
    body = Body()
    body.observe(Expiry(body, asyncio.get_running_loop().time() + 0.01, 3.0))
    body.show()
    body.feed(b"a")
    body.end()
    await asyncio.sleep(0.03)

    assert body.error is None
