"""How an answer begins: errors in place of output, ends before it, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import TruncatedStream
from llmproxy.commit import Terms, Waiting, bad_start, broken_off, error_in, terms_of
from llmproxy.commitsettings import CommitConfig
from llmproxy.errors import GatewayError, ProviderError, UpstreamError
from llmproxy.eventstream import EventHeader, EventStreamMessage
from llmproxy.messages import Headers, Reply
from llmproxy.sse import parse

STREAM = Reply(200, Headers.of({"Content-Type": "text/event-stream"}))
ARRAY = Reply(200, Headers.of({"Content-Type": "application/json"}))
TERMS = Terms(10.0, 100, 3)


class Tap:
    """One that has seen an end, or none."""

    first_output = False
    usage = None

    def __init__(self, *, terminal: bool = False) -> None:
        self.terminal = terminal

    def feed(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, error: BaseException) -> None: ...


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'data: {"error": {"message": "Busy.", "type": "server_error"}}\n\n', "server"),
        (b'data: {"error": {"message": "Slow down.", "code": 429}}\n\n', "rate_limit"),
        (b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n', "overloaded"),
        (b'data: {"type":"error","code":"rate_limit_exceeded","message":"Slow."}\n\n', "rate_limit"),
        (b'data: {"error":{"code":503,"message":"Busy.","status":"UNAVAILABLE"}}\n\n', "overloaded"),
        (
            b'data: [{"error":{"code":400,"message":"No.","status":"INVALID_ARGUMENT"}}]\n\n',
            "invalid_request",
        ),
        (b'data: {"type":"response.failed","response":{"error":{"code":"server_error"}}}\n\n', "server"),
        (b'data: {"type":"message-end","delta":{"finish_reason":"ERROR","error":"Oh"}}\n\n', "server"),
        (b"event: error\ndata: Out of order\n\n", "server"),
    ],
)
def test_an_error_event_is_known_in_every_dialect(event: bytes, kind: str) -> None:
    error = error_in(parse(event))

    assert error is not None
    assert error.kind == kind


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":null,"choices":[]}\n\n',
        b'data: {"type":"response.created","response":{"error":null}}\n\n',
        b'data: {"choices":[{"delta":{"content":"an \\"error\\" in a text"}}]}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"response.failed \\"error\\""}\n\n',
        b'data: "error"\n\n',
        b"data: [DONE]\n\n",
        b'data: {"error"\n\n',
        b": error\n\n",
    ],
)
def test_other_events_are_no_errors(event: bytes) -> None:
    assert error_in(parse(event)) is None


@pytest.mark.parametrize(
    ("reply", "data", "code"),
    [
        (STREAM, b"", "upstream_cut"),
        (STREAM, b'data: {"choices":[]}\n\n', "upstream_cut"),
        (STREAM, b"<html>Sorry</html>", "upstream_bad_answer"),
        (STREAM, b'data: {"error":{"message":"m","code":"c"}}\n\n', "c"),
        (STREAM, b'data: {"error":{"message":"m","code":"c"}}', "c"),
        (ARRAY, b'[{"error":{"message":"m","status":"UNAVAILABLE"}}]', "UNAVAILABLE"),
        (ARRAY, b"[", "upstream_bad_answer"),
    ],
)
def test_an_end_before_output_says_what_it_is(reply: Reply, data: bytes, code: str) -> None:
    fault = bad_start(reply, Tap(), data)

    assert fault is not None
    assert fault.code == code
    assert not isinstance(fault, UpstreamError) or fault.phase == "first_token"


def test_an_answer_may_have_nothing_to_say() -> None:
    assert bad_start(STREAM, Tap(terminal=True), b"data: [DONE]\n\n") is None


async def test_an_error_event_ends_the_wait() -> None:
    waiting = Waiting(TERMS, STREAM)
    waiting.feed(b': hello\n\ndata: {"err')

    assert not waiting.done.done()

    waiting.feed(b'or":{"code":"c","message":"m"}}\n\n')

    assert await waiting.until(60)
    assert isinstance(waiting.fault, ProviderError)


@pytest.mark.parametrize("data", [b"data: {}\n\n" * 3, b": " + b"x" * 100])
async def test_too_much_without_output_ends_the_wait(data: bytes) -> None:
    waiting = Waiting(TERMS, STREAM)
    waiting.feed(data[:-1])
    waiting.feed(data[-1:])

    assert await waiting.until(60)
    assert waiting.fault is None


async def test_the_wait_has_an_end() -> None:
    assert not await Waiting(TERMS, STREAM).until(0)


@pytest.mark.parametrize(
    ("fault", "output", "code", "phase"),
    [
        (
            UpstreamError("upstream_reset", "m", phase="body", sent=True),
            False,
            "upstream_reset",
            "first_token",
        ),
        (UpstreamError("upstream_reset", "m", phase="body", sent=True), True, "upstream_reset", "body"),
        (
            UpstreamError("upstream_timeout", "m", phase="total", sent=True),
            False,
            "upstream_timeout",
            "total",
        ),
        (TruncatedStream("m"), False, "upstream_cut", "first_token"),
        (ValueError("m"), False, "upstream_bad_answer", "first_token"),
        (ConnectionAbortedError("m"), True, "upstream_reset", "body"),
    ],
)
def test_what_broke_off_is_told_by_how_far_it_came(
    fault: BaseException, output: bool, code: str, phase: str
) -> None:
    told: Any = broken_off(fault, output=output)

    assert isinstance(told, GatewayError)
    assert (told.code, told.phase) == (code, phase)


def test_a_wait_of_nothing_is_none() -> None:
    assert terms_of(CommitConfig(wait=0.0), None) is None
    assert terms_of(CommitConfig(wait=3.0, bytes=9, events=2), 15.0) == Terms(3.0, 9, 2)


LINES = Reply(200, Headers.of({"Content-Type": "application/x-ndjson"}))


async def test_an_error_line_ends_the_wait() -> None:
    waiting = Waiting(TERMS, LINES)
    waiting.feed(b'{"done":false}\n{"error":"out of mem')
    assert not waiting.done.done()

    waiting.feed(b'ory"}\n')
    assert waiting.fault is not None
    assert waiting.fault.message == "out of memory"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b'{"x":1}\n{"error":"no"}', "server"), (b'{"x":1}\n', "upstream_cut"), (b"", "upstream_cut")],
)
def test_a_stream_of_lines_may_begin_badly(data: bytes, code: str) -> None:
    fault = bad_start(LINES, Tap(), data)

    assert fault is not None
    assert fault.code == code


def frame(name: str, payload: bytes, kind: str = "event") -> bytes:
    headers = (EventHeader(f":{kind}-type", name), EventHeader(":message-type", kind))
    return EventStreamMessage(payload, headers).encode()


FRAMES = Reply(200, Headers.of({"Content-Type": "application/vnd.amazon.eventstream"}))
BUSY = frame("throttlingException", b'{"message":"Too busy."}', "exception")


async def test_an_exception_in_place_of_output_ends_the_wait() -> None:
    waiting = Waiting(TERMS, FRAMES)
    waiting.feed(frame("messageStart", b"{}") + BUSY[:20])
    assert waiting.fault is None
    waiting.feed(BUSY[20:])

    assert isinstance(waiting.fault, ProviderError)
    assert (waiting.fault.status, waiting.fault.kind, waiting.fault.message) == (
        429,
        "rate_limit",
        "Too busy.",
    )


async def test_frames_whose_beginning_has_passed_are_no_fault() -> None:
    waiting = Waiting(TERMS, FRAMES)
    waiting.feed(BUSY[9:] + BUSY)

    assert waiting.fault is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BUSY, "throttlingException"),
        (BUSY[:-3], "upstream_bad_answer"),
        (b"<html>" * 9, "upstream_bad_answer"),
    ],
)
def test_a_stream_of_frames_may_begin_badly(data: bytes, code: str) -> None:
    fault = bad_start(FRAMES, Tap(), data)

    assert fault is not None
    assert fault.code == code
