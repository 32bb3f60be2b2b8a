"""Every hook x {unary, streamed, upgraded} x {answered early, hit, miss, upstream error, client gone}."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from llmproxy.plugin import (
    Attempt,
    CallNext,
    Event,
    EventTransform,
    Exchange,
    Headers,
    NoConfig,
    Plugin,
    Registry,
    Reply,
    Runtime,
    StoredReply,
    UpstreamRequest,
    hookimpl,
)
from llmproxy.testing import FakeUpstream, RawClient, RunningGateway, running_gateway

from .echoing import echoing

KINDS = ("unary", "streamed", "upgraded")
CASES = ("early", "hit", "miss", "error", "gone")
HOOKS = (
    "pre_route",
    "cache_lookup",
    "around_upstream",
    "transform_request",
    "attempt_done",
    "cache_store",
    "transform_response",
    "transform_stream",
    "post_response",
)

# Three plugins, listed top, middle, bottom; a letter is one call. The middle one answers early, and from its cache.
# A unary "error" is an upstream that resets, a streamed one breaks off, an upgrade is refused. WebSockets have no
# cache hooks, so what would be a hit is served like a miss.
EXPECTED = """
hook               | unary                        | streamed                     | upgraded
                   | early hit   miss  error gone | early hit   miss  error gone | early hit   miss  error gone
pre_route          | tm    tmb   tmb   tmb   tmb  | tm    tmb   tmb   tmb   tmb  | tm    tmb   tmb   tmb   tmb
cache_lookup       | -     tm    tmb   tmb   tmb  | -     tm    tmb   tmb   tmb  | -     -     -     -     -
around_upstream    | -     -     tmb   tmb   tmb  | -     -     tmb   tmb   tmb  | -     tmb   tmb   tmb   tmb
transform_request  | -     -     tmb   tmb   tmb  | -     -     tmb   tmb   tmb  | -     tmb   tmb   tmb   tmb
attempt_done       | -     -     tmb   tmb   tmb  | -     -     tmb   tmb   tmb  | -     tmb   tmb   tmb   tmb
cache_store        | -     -     bmt   -     -    | -     -     bmt   -     -    | -     -     -     -     -
transform_response | t     bmt   bmt   bmt   -    | t     bmt   bmt   bmt   bmt  | t     bmt   bmt   bmt   bmt
transform_stream   | -     -     -     -     -    | t     bmt   bmt   bmt   bmt  | -     bmt   bmt   -     bmt
post_response      | bmt   bmt   bmt   bmt   bmt  | bmt   bmt   bmt   bmt   bmt  | bmt   bmt   bmt   bmt   bmt
"""

# What may only come after what, in every cell. The stored copy is written at nobody's pace, so it has no place here.
ORDER = ("pre_route", "cache_lookup", "around_upstream", "transform_request")
RESULTS = {"early": "answered", "hit": "hit", "miss": "ok", "gone": "client_gone"}


class Recorder(Plugin[NoConfig]):
    """Write down each call; the one called middle answers what the request's query asks for."""

    calls: ClassVar[dict[str, list[tuple[str, str]]]] = defaultdict(list)
    built: ClassVar[list[str]] = []
    results: ClassVar[dict[str, str]] = {}

    def note(self, exchange: Exchange, hook: str) -> None:
        self.calls[exchange.id].append((hook, self.name[0]))

    def wanted(self, exchange: Exchange, case: str) -> bool:
        return self.name == "middle" and exchange.request.query == case

    def answer(self, exchange: Exchange) -> Reply:
        if exchange.request.path.startswith("/streamed"):
            return Reply(200, Headers.of({"Content-Type": "text/event-stream"}), b"data: kept\n\n")
        return Reply.text("kept")

    @hookimpl
    def register(self, registry: Registry) -> None:
        self.built.append(f"register:{self.name[0]}")

    @hookimpl
    async def contribute_config(self, runtime: Runtime) -> None:
        self.built.append(f"contribute_config:{self.name[0]}")

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        self.built.append(f"entered:{self.name[0]}")
        yield
        self.built.append(f"left:{self.name[0]}")

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        self.note(exchange, "pre_route")
        return self.answer(exchange) if self.wanted(exchange, "early") else None

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        self.note(exchange, "cache_lookup")
        return self.answer(exchange) if self.wanted(exchange, "hit") else None

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        self.note(exchange, "around_upstream")
        return await call_next(exchange)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        self.note(exchange, "transform_request")

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        self.note(exchange, "attempt_done")

    @hookimpl
    async def cache_store(self, exchange: Exchange, reply: StoredReply) -> None:
        self.note(exchange, "cache_store")

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        self.note(exchange, "transform_response")

    @hookimpl
    def transform_stream(self, exchange: Exchange) -> EventTransform:
        self.note(exchange, "transform_stream")
        return Signing(self.name[0].encode())

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        self.note(exchange, "post_response")
        self.results[exchange.id] = exchange.outcome.result


class Signing:
    """Put a letter behind each event or message, so that the order shows."""

    def __init__(self, letter: bytes) -> None:
        self._letter = letter

    def feed(self, event: Event) -> Iterable[Event]:
        return [Event(data=event.data + self._letter, event=event.event)]

    def close(self) -> Iterable[Event]:
        return []


@pytest.fixture
async def sockets() -> AsyncIterator[str]:
    async with echoing() as url:
        yield url


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as fake:
        yield fake


@pytest.fixture
async def gateway(upstream: FakeUpstream, sockets: str) -> AsyncIterator[RunningGateway]:
    Recorder.calls.clear()
    Recorder.built.clear()
    names = ["top", "middle", "bottom"]
    tree = {
        "plugins": {name: {"use": Recorder} for name in names},
        "pipeline": names,
        "upstreams": {
            "api": {"base_url": upstream.url, "dialect": "http", "proxy": None},
            "sockets": {"base_url": sockets, "dialect": "http", "proxy": None},
        },
        "routes": [
            {"name": "upgraded", "match": {"path": "/upgraded"}, "upstream": "sockets"},
            {"name": "rest", "upstream": "api"},
        ],
    }
    async with running_gateway(tree) as running:
        yield running


async def send(gateway: RunningGateway, upstream: FakeUpstream, kind: str, case: str) -> bytes:
    """Make one exchange; return what its caller got of the body."""
    if kind == "upgraded":
        return await upgrade(gateway.url, case)
    script(upstream, kind, case)
    async with RawClient(gateway.url) as client:
        request = (
            f"GET /{kind}/{case}?{case} HTTP/1.1\r\nHost: gateway\r\nX-Request-Id: {kind}.{case}\r\n\r\n"
        )
        await client.send(request.encode())
        if case == "gone":
            if kind == "streamed":
                await client.read_until(b"first")
            else:
                await upstream.received(len(upstream.requests) + 1)
            client.reset()
            return b""
        if (kind, case) == ("streamed", "error"):
            return await client.read_to_end()
        reply = await client.read_reply()
        return reply.body


def script(upstream: FakeUpstream, kind: str, case: str) -> None:
    path = f"/{kind}/{case}"
    if kind == "streamed":
        endings: dict[str, Any] = {
            "error": {"then": "reset", "after": 106},
            "gone": {"then": "stall", "after": 106},
        }
        upstream.stream([b"data: first\n\n", b"data: second\n\n"], path=path, **endings.get(case, {}))
    elif case == "error":
        upstream.reset(path=path)
    elif case == "gone":
        upstream.stall(path=path)
    else:
        upstream.reply(json={"fresh": True}, path=path)


async def upgrade(url: str, case: str) -> bytes:
    async with ClientSession() as session:
        try:
            socket = await session.ws_connect(
                f"{url}/upgraded?{case}", headers={"X-Request-Id": f"upgraded.{case}"}
            )
        except WSServerHandshakeError as refusal:
            return str(refusal.status).encode()
        await socket.send_str("hello ")
        answer: str = await socket.receive_str()
        if case == "gone":
            transport = socket.get_extra_info("socket")
            transport.shutdown(2)
        else:
            await socket.close()
        return answer.encode()


async def settled(name: str, expected: int) -> None:
    """Wait until the exchange is over and nothing more is on its way."""
    async with asyncio.timeout(5):
        while [hook for hook, _ in Recorder.calls[name]].count("post_response") < 3:
            await asyncio.sleep(0.01)
        while len(Recorder.calls[name]) < expected:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)


def cells(table: str) -> dict[tuple[str, str, str], str]:
    found = {}
    for line in table.strip().splitlines()[2:]:
        hook, *groups = (part.strip() for part in line.split("|"))
        for kind, group in zip(KINDS, groups, strict=True):
            for case, letters in zip(CASES, group.split(), strict=True):
                found[hook, kind, case] = letters
    return found


def render(fired: dict[tuple[str, str, str], str]) -> str:
    lines = EXPECTED.strip().splitlines()[:2]
    for hook in HOOKS:
        groups = ["".join(f"{fired[hook, kind, case]:6}" for case in CASES)[:28].ljust(28) for kind in KINDS]
        lines.append(f"{hook:18} | {' | '.join(groups)}".rstrip())
    return "\n".join(lines)


async def test_every_hook_fires_as_designed(gateway: RunningGateway, upstream: FakeUpstream) -> None:
    expected = cells(EXPECTED)
    fired: dict[tuple[str, str, str], str] = {}
    bodies: dict[tuple[str, str], bytes] = {}
    for kind in KINDS:
        for case in CASES:
            bodies[kind, case] = await send(gateway, upstream, kind, case)
            name = f"{kind}.{case}"
            await settled(name, sum(len(expected[hook, kind, case].strip("-")) for hook in HOOKS))
            for hook in HOOKS:
                letters = [letter for called, letter in Recorder.calls[name] if called == hook]
                fired[hook, kind, case] = "".join(letters) or "-"

    print("\n" + render(fired))

    assert fired == expected
    assert Recorder.built[:9] == [
        f"{what}:{letter}" for what in ("register", "contribute_config", "entered") for letter in "tmb"
    ]
    for name, calls in Recorder.calls.items():
        order = [hook for hook, _ in calls if hook != "cache_store"]
        down = [hook for hook in order if hook in ORDER]
        assert down == sorted(down, key=ORDER.index), name
        assert order[-3:] == ["post_response"] * 3, name
        kind, case = name.split(".")
        if case in RESULTS and (kind, case) != ("upgraded", "hit"):
            assert Recorder.results[name] == RESULTS[case], name
    assert Recorder.results["unary.error"] == "upstream_error"
    assert Recorder.results["streamed.error"] == "cut"
    assert bodies["streamed", "hit"] == b"data: keptbmt\n\n"
    assert bodies["streamed", "early"] == b"data: keptt\n\n"
    assert bodies["streamed", "miss"] == b"data: firstbmt\n\ndata: secondbmt\n\n"
    assert bodies["upgraded", "miss"] == b"hello bmtbmt"
    assert bodies["upgraded", "error"] == b"503"


async def test_lifespans_are_left_in_reverse(upstream: FakeUpstream, sockets: str) -> None:
    Recorder.built.clear()
    names = ["top", "middle", "bottom"]
    tree = {"plugins": {name: {"use": Recorder} for name in names}, "pipeline": names, "routes": []}
    async with running_gateway(tree):
        pass

    assert Recorder.built[-3:] == ["left:b", "left:m", "left:t"]
