"""Signs of life: who gets them, and what a failure becomes behind them."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from llmproxy import settings
from llmproxy.testing import FakeUpstream, running_gateway

BEAT = b": keep-alive\n\n"
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
STREAM = CHUNK + b"data: [DONE]\n\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SHORTEST_KEEPALIVE", 0.01)


async def heard(
    *steps: bytes | float, stream: bool = True, plugins: dict[str, Any] | None = None, **more: Any
) -> tuple[int, str, bytes, bool]:
    """Return the status, the content type, the body, and whether it ended as it should."""
    route = {"name": "r", "upstream": "main", "keepalive": "50ms", **more, "plugins": [*(plugins or {})]}
    async with FakeUpstream() as upstream:
        upstream.raw(*steps)
        tree = {
            "upstreams": {"main": {"base_url": f"{upstream.url}/v1"}},
            "routes": [route],
            "plugins": plugins or {},
        }
        body = orjson.dumps({"model": "m", "stream": stream, "messages": []})
        async with running_gateway(tree) as gateway, aiohttp.ClientSession() as session:
            url, headers = f"{gateway.url}/v1/chat/completions", {"content-type": "application/json"}
            got = b""
            async with session.post(url, data=body, headers=headers) as reply:
                try:
                    async for piece in reply.content.iter_any():
                        got += piece
                except aiohttp.ClientPayloadError:
                    return reply.status, reply.content_type, got, False
                return reply.status, reply.content_type, got, True


async def test_a_caller_who_waits_gets_comments_and_then_the_stream() -> None:
    status, kind, got, whole = await heard(0.2, EVENTS % (len(STREAM), STREAM))

    assert (status, kind, whole) == (200, "text/event-stream", True)
    assert got.startswith(BEAT * 2)
    assert got.replace(BEAT, b"") == STREAM


async def test_what_follows_a_head_that_has_left_is_coded_as_that_says() -> None:
    compressing = {"compression": {"events": True, "min_size": 0}}
    head = b"HTTP/1.1 500 x\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n"
    error = head + b'{"error":{"message":"Not today."}}'
    _, _, got, whole = await heard(0.2, EVENTS % (len(STREAM), STREAM), plugins=compressing)
    _, _, told, _ = await heard(0.2, error, plugins=compressing)

    assert got.replace(BEAT, b"") == STREAM
    assert whole
    assert b"Not today." in told


async def test_a_page_may_read_what_follows_a_head_that_leaves_early() -> None:
    async with FakeUpstream() as upstream:
        upstream.raw(0.2, EVENTS % (len(STREAM), STREAM))
        tree = {
            "upstreams": {"main": {"base_url": f"{upstream.url}/v1"}},
            "plugins": {"cors": {"origins": ["https://app.test"]}},
            "routes": [{"name": "r", "upstream": "main", "keepalive": "50ms", "plugins": ["cors"]}],
        }
        body = orjson.dumps({"model": "m", "stream": True, "messages": []})
        headers = {"content-type": "application/json", "origin": "https://app.test"}
        async with running_gateway(tree) as gateway, aiohttp.ClientSession() as session:
            url = f"{gateway.url}/v1/chat/completions"
            async with session.post(url, data=body, headers=headers) as reply:
                got = await reply.read()

    assert BEAT in got
    assert reply.headers["access-control-allow-origin"] == "https://app.test"
    assert reply.headers["vary"] == "Origin"


async def test_who_is_answered_at_once_gets_none() -> None:
    got = await heard(
        EVENTS % (len(STREAM), STREAM), keepalive="5s"
    )  # "at once", on a machine that is busy too

    assert got == (200, "text/event-stream", STREAM, True)


async def test_who_asked_for_no_stream_gets_none() -> None:
    answer = b'{"id":"c","choices":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n"

    assert await heard(0.2, head + answer, stream=False) == (200, "application/json", answer, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 34\r\n\r\n" + b'{"error":{"message":"Slow down."}}', b"Slow down."),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", b"is no stream"),
        (EVENTS % (0, b""), b"ended before"),
        (b"", b"closed the connection"),
    ],
)  # fmt: skip
async def test_what_fails_behind_them_is_an_error_event_and_no_clean_end(answer: bytes, told: bytes) -> None:
    status, kind, got, whole = await heard(0.2, answer)

    assert (status, kind, whole) == (200, "text/event-stream", False)
    assert got.startswith(BEAT)
    assert told in got
