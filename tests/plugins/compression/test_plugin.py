from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import orjson
import pytest

from llmproxy.plugin import ChildRequest, Event, EventTransform, Exchange, Plugin, hookimpl
from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    RawClient,
    Served,
    make_exchange,
    run_route,
    running_gateway,
    running_route,
)
from llmproxy_compression import CompressionPlugin

from .unpacking import opened, unpacked

VALUE = {"list": list(range(1000))}
PLAIN = orjson.dumps(VALUE)


class TestContract(PluginContract):
    plugin_class = CompressionPlugin
    config: ClassVar[dict[str, Any]] = {"min_size": 0, "events": True}
    route: ClassVar[dict[str, Any]] = {"events": True}
    headers: ClassVar[dict[str, str]] = {"Accept-Encoding": "gzip"}


class Upper(Plugin[Any]):
    """Changes events and answers, to see that it gets them plain."""

    @hookimpl
    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        return self

    def feed(self, event: Event) -> list[Event]:
        return [Event((event.data or b"").upper())]

    def close(self) -> list[Event]:
        return []


async def serve(
    upstream: FakeUpstream, accept: str | None = "gzip", *, method: str = "GET", more: Any = (), **route: Any
) -> Served:
    headers = {} if accept is None else {"Accept-Encoding": accept}
    tables = {"compression": {"use": CompressionPlugin}, **dict(more)}
    exchange = make_exchange(method, "/a", headers=headers)
    async with upstream:
        return await run_route(tables, exchange, upstream=upstream, options={"compression": route})


def told(served: Served, *names: str) -> list[str | None]:
    return [served.reply.headers.get(name) for name in names]


@pytest.mark.parametrize("accept", ["gzip", "br", "zstd"])
async def test_an_answer_is_coded_as_its_caller_takes_it(accept: str) -> None:
    served = await serve(FakeUpstream().reply(json=VALUE, headers=[("ETag", '"a"')]), accept)

    assert told(served, "content-encoding", "vary", "etag", "content-length") == [
        accept, "Accept-Encoding", 'W/"a"', None,
    ]  # fmt: skip
    assert unpacked(served.body, accept) == PLAIN


@pytest.mark.parametrize("accept", [None, "", "identity", "gzip;q=0", "deflate"])
async def test_a_caller_that_takes_none_gets_it_plain_and_caches_are_told(accept: str | None) -> None:
    served = await serve(FakeUpstream().reply(json=VALUE, headers=[("ETag", '"a"')]), accept)

    assert told(served, "content-encoding", "vary", "etag") == [None, "Accept-Encoding", '"a"']
    assert served.body == PLAIN


@pytest.mark.parametrize(
    ("upstream", "vary"),
    [
        (FakeUpstream().reply(json={}), "Accept-Encoding"),
        (FakeUpstream().reply(json=VALUE, gzip=True), None),
        (FakeUpstream().reply(body=b"x" * 5000, headers=[("Content-Type", "image/png")]), None),
        (FakeUpstream().reply(206, json=VALUE, headers=[("Content-Range", "bytes 0-9/10")]), None),
        (FakeUpstream().stream([b"data: {}\n\n"] * 200), None),
    ],
    ids=["small", "coded", "picture", "part", "events"],
)
async def test_what_gains_nothing_passes(upstream: FakeUpstream, vary: str | None) -> None:
    served = await serve(upstream, "br")

    assert served.reply.headers.get("content-encoding") in {None, "gzip"}
    assert served.reply.headers.get("vary") == vary


async def test_a_route_may_be_left_out() -> None:
    served = await serve(FakeUpstream().reply(json=VALUE), off=True)

    assert told(served, "content-encoding", "vary") == [None, None]


async def test_a_head_says_what_a_get_would() -> None:
    served = await serve(FakeUpstream().reply(json=VALUE), method="HEAD")

    assert told(served, "content-encoding", "content-length") == ["gzip", None]
    assert served.body == b""


async def test_stream_transforms_read_it_plain_wherever_they_are_listed() -> None:
    events = FakeUpstream().stream([b"data: one\n\n"] * 200)
    served = await serve(events, "br", more={"upper": {"use": Upper}}, events=True)

    assert unpacked(served.body, "br") == b"data: ONE\n\n" * 200


async def test_an_event_can_be_read_when_it_was_sent() -> None:
    events = FakeUpstream().stream([b"data: one\n\n", b"data: two\n\n"], delay=0.05)
    async with events:
        config = {
            "upstreams": {"api": {"base_url": events.url, "dialect": "http"}},
            "plugins": {"compression": {"use": CompressionPlugin, "events": True}},
            "pipeline": ["compression"],
            "routes": [{"name": "all", "upstream": "api"}],
        }
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
            head = await client.read_until(b"\r\n\r\n")
            decode = opened("gzip")
            seen: list[bytes] = []
            while b"two" not in b"".join(seen):
                size = int(await client.read_until(b"\r\n"), 16)
                seen.append(decode(await client.read_exactly(size)))
                await client.read_exactly(2)

        assert b"gzip" in head.lower()
        assert [piece for piece in seen if piece] == [b"data: one\n\n", b"data: two\n\n"]


async def test_a_cut_stream_is_never_a_whole_one() -> None:
    cut = FakeUpstream().stream(
        [PLAIN, PLAIN], headers=[("Content-Type", "application/json")], then="reset", after=6000
    )
    served = await serve(cut)

    assert served.broken is not None


async def test_a_cache_keeps_it_plain_for_every_caller() -> None:
    async with FakeUpstream().reply(json=VALUE, headers=[("Cache-Control", "max-age=60")]) as upstream:
        tables = {
            "compression": {"use": CompressionPlugin},
            "httpcache": {"use": "httpcache", "store": "main"},
        }
        async with running_route(
            tables,
            upstream=upstream,
            options={"httpcache": {"profile": "api"}},
            config={"stores": {"main": {"url": "memory://"}}},
        ) as serving:
            bodies = []
            for accept in ("gzip", "br", "identity", "zstd"):
                exchange = make_exchange("GET", "/a", headers={"Accept-Encoding": accept})
                bodies.append((await serving.serve(exchange)).body)

        assert [unpacked(bodies[0], "gzip"), unpacked(bodies[1], "br"), bodies[2]] == [PLAIN] * 3
        assert unpacked(bodies[3], "zstd") == PLAIN
        assert len(upstream.requests) == 1


async def test_what_the_gateway_asks_of_itself_comes_plain() -> None:
    async with (
        FakeUpstream().reply(json=VALUE) as upstream,
        running_route({"compression": {"use": CompressionPlugin}}, upstream=upstream) as serving,
    ):
        request = ChildRequest("GET", "/a")
        request.headers.set("Accept-Encoding", "gzip")
        reply = await serving.generation.call(request, None)
        await asyncio.sleep(0)

        assert reply.headers.get("content-encoding") is None


async def test_what_was_coded_and_has_not_changed_keeps_its_tag() -> None:
    exchange = make_exchange("GET", "/a", headers={"Accept-Encoding": "gzip", "If-None-Match": 'W/"a"'})
    tables = {"compression": {"use": CompressionPlugin}}
    async with FakeUpstream().reply(304, headers=[("ETag", '"a"')]) as upstream:
        served = await run_route(tables, exchange, upstream=upstream)

    assert (served.reply.status, told(served, "etag", "vary")) == (304, ['W/"a"', "Accept-Encoding"])


async def test_a_coding_that_is_refused_in_another_line_is_not_used() -> None:
    exchange = make_exchange("GET", "/a", headers={"Accept-Encoding": "gzip;q=0", "accept-encoding": "*"})
    tables = {"compression": {"use": CompressionPlugin, "codings": ["gzip"]}}
    async with FakeUpstream().reply(json=VALUE) as upstream:
        served = await run_route(tables, exchange, upstream=upstream)

    assert served.body == PLAIN
