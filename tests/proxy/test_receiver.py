"""How replies are received: held until they begin, broken where they were cut, settled once."""

from __future__ import annotations

from typing import Any

from llmproxy.body import FAILED, Body
from llmproxy.commit import Terms
from llmproxy.errors import UpstreamError
from llmproxy.exchange import Attempt, Endpoint, Usage
from llmproxy.messages import Headers, Reply
from llmproxy.receiver import Receiver
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange

OUTPUT = b"data: output\n\n"


class Tap:
    """One that takes a word for output, and another for the end."""

    usage = None
    cut = False

    def __init__(self) -> None:
        self.first_output = self.terminal = False

    def feed(self, data: bytes) -> None:
        self.first_output = self.first_output or b"output" in data
        self.terminal = self.terminal or b"end" in data

    def end(self) -> None:
        self.cut = not self.terminal

    def fail(self, error: BaseException) -> None: ...


class Face:
    def tap(self, exchange: Any, reply: Reply) -> Tap:
        return Tap()


class Target:
    face = Face()


def received(body: bytes | Body) -> tuple[Any, Attempt, Reply]:
    exchange = make_exchange()
    exchange.route.commit = Terms(10.0, 1000, 10)
    receiver = Receiver(exchange.route, (), lambda *_: None, Clock())
    attempt = Attempt(1, Endpoint("a"), 0.0)
    reply = Reply(200, Headers.of({"Content-Type": "text/event-stream", "Content-Length": "14"}), body)
    return receiver._received(exchange, Target(), attempt, reply), attempt, reply  # type: ignore[arg-type]


def test_a_stream_that_has_begun_waits_for_nothing() -> None:
    body = Body()
    body.feed(OUTPUT)
    watch, attempt, _ = received(body)

    assert not watch.waits
    assert (attempt.first_output_at is None, attempt.ended) == (False, None)


def test_a_stream_without_output_waits() -> None:
    body = Body()
    body.feed(b"data: hello\n\n")
    watch, attempt, _ = received(body)

    assert watch.waits

    body.fail(ConnectionError())

    assert isinstance(attempt.error, UpstreamError)
    assert attempt.error.phase == "first_token"


def test_a_stream_that_is_cut_in_one_piece_breaks_off_behind_what_it_said() -> None:
    watch, attempt, reply = received(OUTPUT)

    assert watch is None
    assert isinstance(reply.body, Body)
    assert (reply.body.peek(), reply.body.state) == (OUTPUT, FAILED)
    assert not reply.headers.has(b"content-length")
    assert (attempt.committed, attempt.complete) == (True, False)


def test_a_whole_stream_stays_as_it_came() -> None:
    _, attempt, reply = received(OUTPUT + b"data: end\n\n")

    assert isinstance(reply.body, bytes)
    assert attempt.complete


def test_a_count_that_no_call_can_come_to_is_taken_for_not_told() -> None:
    exchange = make_exchange()
    receiver = Receiver(exchange.route, (), lambda *_: None, Clock())
    told = []
    for count in (2**32 - 1, 2**63, 10**30):
        attempt = Attempt(1, Endpoint("a"), 0.0, usage=Usage(1, output=count))
        receiver.settle(exchange, attempt, None)
        told.append(attempt.usage)

    assert told == [Usage(1, output=2**32 - 1), None, None]
    assert exchange.usage == told[0]
