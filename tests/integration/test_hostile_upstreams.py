"""Upstreams that are broken or mean: whatever they send, the next place answers, and nothing of it is left."""

from __future__ import annotations

import pytest

from llmproxy.testing import FakeUpstream
from llmproxy_balance import BalancePlugin

from .test_fallback import EVENTS, good, served

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ERROR = b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
DEEP = b'{"error":' * 5000 + b"1" + b"}" * 5000


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def asking_to_wait(status: int, wait: bytes) -> bytes:
    return b"HTTP/1.1 %d No\r\nRetry-After: %b\r\nContent-Length: 2\r\n\r\n{}" % (status, wait)


#: What is sent, and the kind of failure that it is.
UNARY = {
    "a flood of interim replies": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20_000, "protocol"),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * 10_000_000, "protocol"),
    "an error without end": (ERROR + chunk(b"x" * 65_536) * 500, "server;status=500"),
    "a wait that is no number": (asking_to_wait(429, b"NaN"), "rate_limit;status=429"),
    "a wait without end": (asking_to_wait(429, b"9" * 400), "rate_limit;status=429"),
    "a wait that is over": (asking_to_wait(503, b"-5"), "overloaded;status=503"),
    "a wait of ages": (asking_to_wait(503, b"Fri, 31 Dec 9999 23:59:59 GMT"), "overloaded;status=503"),
    "a wait that is no date": (
        asking_to_wait(503, b"Fri, 99 Dec 99999999 23:59:59 GMT"),
        "overloaded;status=503",
    ),
    "a protocol that nobody asked for": (
        b"HTTP/1.1 101 No\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "protocol",
    ),
    "another version": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "protocol"),
    "a status that there is not": (b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", "server;status=999"),
    "no status": (b"HTTP/1.1 20 X\r\nContent-Length: 0\r\n\r\n", "protocol"),
}
STREAMED = {
    "an error as text": (chunk(b'data: {"error":"boom"}\n\n'), "server"),
    "an error in a list": (chunk(b'data: [{"error":{"code":503}}]\n\n'), "overloaded"),
    "an event of too many levels": (chunk(b"data: " + DEEP + b"\n\n"), "cut"),
    "nothing but comments": (chunk(b": x\n\n") * 1000, "protocol"),
}


@pytest.mark.parametrize("what", UNARY)
async def test_whatever_an_upstream_sends_the_next_place_answers(what: str) -> None:
    sent, kind = UNARY[what]
    await fails_over(FakeUpstream().raw(sent), good(), kind, stream=False)


@pytest.mark.parametrize("what", STREAMED)
async def test_whatever_a_stream_begins_with_the_next_place_answers(what: str) -> None:
    sent, kind = STREAMED[what]
    upstream = FakeUpstream().raw(STREAM + sent + b"0\r\n\r\n")
    await fails_over(upstream, FakeUpstream().stream(EVENTS), f"{kind};status=200", stream=True)


async def fails_over(first: FakeUpstream, second: FakeUpstream, kind: str, *, stream: bool) -> None:
    """See that the second answers, and that nothing of the first is left."""
    async with served({"a": first, "b": second}) as caller:
        asked = await caller.ask(stream=stream)
        [balance] = [
            each for each in caller.gateway.gateway.current.plugins if isinstance(each, BalancePlugin)
        ]
        left = balance._walker.budget.active

    assert asked.tried == f'"a";failure={kind}, "b";status=200'
    assert left == 0
