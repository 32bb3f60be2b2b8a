"""What a caller gets when places of a pool fail: the next place's answer, within one budget and one deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

from .echoing import echoing

ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
OUTPUT = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
EVENTS = [b"data: " + orjson.dumps(OUTPUT) + b"\n\n", b"data: [DONE]\n\n"]
NOWHERE = "http://127.0.0.1:9"


class Asked:
    """What came back: a status, the header fields, the body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def tried(self) -> str:
        """The places that were tried, without the times."""
        told = self.headers.get("x-llmproxy-attempts", "")
        return ", ".join(item.rpartition(";ms=")[0] for item in told.split(", "))

    def error(self) -> dict[str, Any]:
        """The error in it."""
        error: dict[str, Any] = orjson.loads(self.body)["error"]
        return error


class Caller:
    """Asks a gateway over real sockets."""

    def __init__(self, gateway: RunningGateway, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self._session = session

    async def ask(self, headers: Mapping[str, str] | None = None, *, stream: bool = False) -> Asked:
        """Call a model."""
        body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        fields = {"content-type": "application/json", **(headers or {})}
        return await self.send("POST", "/v1/chat/completions", orjson.dumps(body), fields)

    async def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Asked:
        """Send any request."""
        fields = {"x-llmproxy-explain": "attempts", **(headers or {})}
        async with self._session.request(method, self.gateway.url + path, data=body, headers=fields) as reply:
            return Asked(reply.status, reply.headers, await reply.read())


@asynccontextmanager
async def served(
    upstreams: Mapping[str, FakeUpstream | str],
    targets: Sequence[Any] = (),
    *,
    dialect: str = "openai",
    plugin: Mapping[str, Any] | None = None,
    route: Mapping[str, Any] | None = None,
    pools: Mapping[str, Any] | None = None,
) -> AsyncIterator[Caller]:
    """Serve the pool `fast` of these targets, or of all upstreams."""
    async with AsyncExitStack() as stack:
        urls = {}
        for name, each in upstreams.items():
            urls[name] = each if isinstance(each, str) else (await stack.enter_async_context(each)).url
        path = "/v1" if dialect == "openai" else ""
        tree = {
            "upstreams": {
                name: {"dialect": dialect, "base_url": f"{url}{path}", "proxy": None}
                for name, url in urls.items()
            },
            "pools": {
                "fast": {"strategy": "ordered", "targets": list(targets) or list(urls)},
                **(pools or {}),
            },
            "plugins": {"balance": {"backoff": "20ms", **(plugin or {})}},
            "routes": [{"name": "all", "pool": "fast", **(route or {})}],
        }
        gateway = await stack.enter_async_context(running_gateway(tree))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Caller(gateway, session)


def good() -> FakeUpstream:
    return FakeUpstream().reply(json=ANSWER)


def failing(status: int, *, headers: Sequence[tuple[str, str]] = (), **error: Any) -> FakeUpstream:
    return FakeUpstream().reply(status, json={"error": {"message": "No.", **error}}, headers=headers)


@pytest.mark.parametrize(
    ("first", "tried"),
    [
        (lambda: NOWHERE, '"a";failure=connect'),
        (lambda: "http://no-such-host.invalid", '"a";failure=dns'),
        (lambda: FakeUpstream().reply(json=ANSWER, then="reset", after=0), '"a";failure=reset'),
        (lambda: failing(500), '"a";failure=server;status=500'),
        (lambda: failing(503), '"a";failure=overloaded;status=503'),
        (lambda: failing(429), '"a";failure=rate_limit;status=429'),
        (lambda: failing(429, headers=[("Retry-After", "60")]), '"a";failure=rate_limit;status=429'),
        (lambda: failing(429, code="insufficient_quota"), '"a";failure=quota;status=429'),
        (lambda: failing(401), '"a";failure=authentication;status=401'),
        (lambda: failing(404, code="model_not_found"), '"a";failure=not_found;status=404'),
    ],
)
async def test_the_next_place_answers_where_one_fails(first: Any, tried: str) -> None:
    async with served({"a": first(), "b": good()}) as caller:
        asked = await caller.ask()

    assert asked.status == 200
    assert asked.tried == f'{tried}, "b";status=200'


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [204, 301, 302, 307, 308])
async def test_what_is_no_models_answer_is_no_callers_either(status: int, stream: bool) -> None:
    elsewhere = FakeUpstream().reply(status, body=b"", headers=[("Location", "http://127.0.0.1:9/")])
    second = FakeUpstream().stream(EVENTS) if stream else good()
    async with served({"a": elsewhere, "b": second}) as caller:
        asked = await caller.ask(stream=stream)

    assert asked.tried == f'"a";failure=protocol;status={status}, "b";status=200'


async def test_an_ordinary_api_may_answer_without_content() -> None:
    async with served({"a": FakeUpstream().reply(304, body=b"")}, dialect="http") as caller:
        unchanged = await caller.send("GET", "/page")
    async with served({"a": FakeUpstream().reply(204, body=b"")}, dialect="http") as caller:
        empty = await caller.send("POST", "/page")

    assert (unchanged.status, empty.status) == (304, 204)


async def test_a_stream_falls_back_before_its_first_byte() -> None:
    async with served({"a": failing(500), "b": FakeUpstream().stream(EVENTS)}) as caller:
        asked = await caller.ask(stream=True)

    assert asked.status == 200
    assert asked.body == b"".join(EVENTS)
    assert asked.tried == '"a";failure=server;status=500, "b";status=200'


async def test_nothing_is_told_unless_it_is_asked_for() -> None:
    async with served({"a": failing(500), "b": good()}) as caller:
        unasked = await caller.ask({"x-llmproxy-explain": ""})
    async with served({"a": failing(500), "b": good()}, plugin={"tell_attempts": False}) as caller:
        untold = await caller.ask()

    assert "x-llmproxy-attempts" not in unasked.headers
    assert "x-llmproxy-attempts" not in untold.headers


@pytest.mark.parametrize("dialect", ["openai", "http"])
async def test_what_is_said_to_the_gateway_alone_goes_no_further(dialect: str) -> None:
    upstream = good()
    async with served({"a": upstream}, dialect=dialect) as caller:
        await caller.ask({"x-llmproxy-timeout": "5s", "x-llmproxy-policy": "cheap"})

    assert not [name for name, _ in upstream.requests[0].headers if name.lower().startswith(b"x-llmproxy")]


async def test_a_mistake_of_the_caller_is_told_by_the_first_place() -> None:
    async with served({"a": failing(400, type="invalid_request_error"), "b": good()}) as caller:
        asked = await caller.ask()

    assert asked.status == 400
    assert asked.tried == '"a";failure=invalid_request;status=400'


async def test_a_place_is_tried_again_when_all_have_failed() -> None:
    first = FakeUpstream().reply(500, json={}).reply(json=ANSWER)
    async with served({"a": first, "b": failing(429, headers=[("Retry-After", "60")])}) as caller:
        asked = await caller.ask()

    assert asked.status == 200
    assert asked.tried == ('"a";failure=server;status=500, "b";failure=rate_limit;status=429, "a";status=200')


async def test_a_place_is_tried_again_first_where_the_configuration_says_so() -> None:
    first = FakeUpstream().reply(500, json={}).reply(json=ANSWER)
    async with served({"a": first, "b": good()}, plugin={"retries": 1}) as caller:
        asked = await caller.ask()

    assert asked.tried == '"a";failure=server;status=500, "a";status=200'


async def test_a_short_wait_that_a_place_asks_for_is_kept() -> None:
    first = FakeUpstream().reply(429, json={}, headers=[("retry-after-ms", "150")]).reply(json=ANSWER)
    async with served({"a": first}) as caller:
        began = time.monotonic()
        asked = await caller.ask()

    assert asked.status == 200
    assert time.monotonic() - began >= 0.15


async def test_a_long_wait_is_passed_on() -> None:
    async with served({"a": failing(429, headers=[("Retry-After", "60")])}) as caller:
        asked = await caller.ask()

    assert asked.status == 429
    assert asked.headers["retry-after"] == "60"
    assert asked.tried == '"a";failure=rate_limit;status=429'


async def test_the_budget_of_attempts_ends_the_walk() -> None:
    upstreams = {name: failing(500) for name in "abcd"}
    async with served(upstreams, route={"attempts": 2}) as caller:
        asked = await caller.ask()

    assert asked.status == 500
    assert asked.tried == '"a";failure=server;status=500, "b";failure=server;status=500'
    assert sum(len(upstream.requests) for upstream in upstreams.values()) == 2


async def test_the_most_useful_answer_is_passed_on() -> None:
    async with served({"a": failing(429, headers=[("Retry-After", "60")]), "b": NOWHERE}) as caller:
        asked = await caller.ask()

    assert asked.status == 429
    assert asked.headers["retry-after"] == "60"


async def test_where_no_place_can_be_reached_the_caller_is_told_in_his_dialect() -> None:
    async with served({"a": NOWHERE}, route={"attempts": 1}) as caller:
        asked = await caller.ask()

    assert asked.status == 502
    assert asked.error()["code"] == "upstream_unreachable"


async def test_the_deadline_ends_the_walk() -> None:
    async with served({"a": FakeUpstream().stall(), "b": good()}, route={"deadline": "0.2s"}) as caller:
        asked = await caller.ask()

    assert asked.status == 504
    assert asked.tried == '"a";failure=timeout'


async def test_a_caller_may_lower_the_deadline_and_not_raise_it() -> None:
    async with served({"a": FakeUpstream().stall()}, route={"deadline": "0.4s", "attempts": 1}) as caller:
        began = time.monotonic()
        lower = await caller.ask({"x-llmproxy-timeout": "50ms"})
        between = time.monotonic()
        higher = await caller.ask({"x-llmproxy-timeout": "1h"})
        until = time.monotonic()
        broken = await caller.ask({"x-llmproxy-timeout": "soon"})

    assert (lower.status, higher.status) == (504, 504)
    assert between - began < until - between
    assert broken.status == 400
    assert broken.error()["code"] == "bad_timeout"


def full() -> FakeUpstream:
    return failing(400, code="context_length_exceeded", type="invalid_request_error")


async def test_a_full_window_leads_to_the_place_that_is_meant_for_it() -> None:
    targets = ["a", "b", {"upstream": "c", "after": ["window"]}]
    upstreams = {"a": full(), "b": good(), "c": good()}
    async with served(upstreams, targets) as caller:
        asked = await caller.ask()

    assert asked.tried == '"a";failure=window;status=400, "c";status=200'


async def test_a_full_window_leads_to_no_other_place() -> None:
    async with served({"a": full(), "b": good()}) as caller:
        asked = await caller.ask()

    assert asked.status == 400
    assert asked.error()["code"] == "context_length_exceeded"


async def test_a_full_window_leads_to_a_larger_one() -> None:
    targets = [
        {"upstream": "a", "capabilities": {"window": 1000}},
        {"upstream": "b", "capabilities": {"window": 500}},
        {"upstream": "c", "capabilities": {"window": 2000}},
    ]
    upstreams = {"a": full(), "b": good(), "c": good()}
    async with served(upstreams, targets) as caller:
        asked = await caller.ask()

    assert asked.tried == '"a";failure=window;status=400, "c";status=200'


async def test_a_refused_content_leads_to_the_place_that_is_meant_for_it() -> None:
    targets = ["a", "b", {"pool": "strict", "after": ["policy"]}]
    upstreams = {"a": failing(400, code="content_filter"), "b": good(), "c": good()}
    async with served(upstreams, targets, pools={"strict": ["c"]}) as caller:
        asked = await caller.ask()

    assert asked.tried == '"a";failure=policy;status=400, "c";status=200'


async def test_a_place_that_is_meant_for_a_failure_is_tried_for_no_other() -> None:
    targets = ["a", {"upstream": "b", "after": ["window"]}]
    async with served({"a": failing(500), "b": good()}, targets, route={"attempts": 2}) as caller:
        asked = await caller.ask()

    assert asked.status == 500
    assert asked.tried == '"a";failure=server;status=500, "a";failure=server;status=500'


async def test_a_pool_of_pools_is_walked_in_its_order() -> None:
    pools = {"near": ["a", "b"], "far": ["c"]}
    upstreams = {"a": failing(500), "b": failing(500), "c": good()}
    async with served(upstreams, [{"pool": "near"}, {"pool": "far"}], pools=pools) as caller:
        asked = await caller.ask()

    assert asked.tried == '"a";failure=server;status=500, "b";failure=server;status=500, "c";status=200'


async def test_an_unsafe_request_is_repeated_where_nothing_of_it_was_sent() -> None:
    async with served({"a": NOWHERE, "b": good()}, dialect="http") as caller:
        asked = await caller.send("POST", "/orders", b"{}")

    assert asked.status == 200


async def test_an_unsafe_request_is_not_repeated_after_it_was_sent() -> None:
    async with served({"a": failing(500), "b": good()}, dialect="http") as caller:
        asked = await caller.send("POST", "/orders", b"{}")
        safe = await caller.send("GET", "/orders")
        keyed = await caller.send("POST", "/orders", b"{}", {"Idempotency-Key": "k"})

    assert (asked.status, safe.status, keyed.status) == (500, 200, 200)


async def test_what_a_plain_upstream_answers_is_its_answer() -> None:
    async with served({"a": failing(404), "b": good()}, dialect="http") as caller:
        asked = await caller.send("GET", "/orders")

    assert asked.status == 404
    assert asked.tried == '"a";status=404'


async def test_an_upload_that_streams_through_gets_one_attempt() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    async with served({"a": NOWHERE, "b": good()}, dialect="http") as caller:
        asked = await caller.send("PUT", "/file", pieces())

    assert asked.status == 502


async def test_places_that_failed_often_are_left_alone_and_the_caller_is_told_when_to_come_back() -> None:
    plugin = {"health": {"failures": 1, "rest": "30s"}}
    async with served({"a": failing(500)}, plugin=plugin, route={"attempts": 1}) as caller:
        await caller.ask()
        asked = await caller.ask()

    assert asked.status == 503
    assert asked.error()["code"] == "no_place"
    assert 20 < int(asked.headers["retry-after"]) <= 30


async def test_a_route_without_a_pool_retries_its_upstream() -> None:
    first = FakeUpstream().reply(500, json={}).reply(json=ANSWER)
    async with served({"a": first}, route={"pool": None, "upstream": "a", "plugins": ["balance"]}) as caller:
        asked = await caller.ask()

    assert asked.status == 200
    assert asked.tried == '"a";failure=server;status=500, "a";status=200'


async def test_attempts_are_counted() -> None:
    async with served({"a": failing(500), "b": good()}) as caller:
        await caller.ask()
        text = await (await caller._session.get(f"{caller.gateway.admin_url}/metrics")).text()

    assert 'llmproxy_attempts_total{pool="fast",place="a",outcome="server"} 1' in text
    assert 'llmproxy_attempts_total{pool="fast",place="b",outcome="ok"} 1' in text


async def test_a_caller_picks_another_pool_where_the_route_lets_him() -> None:
    policies = {"cheap": "small", "spread": {"strategy": "round_robin"}}
    route = {"plugins": [{"balance": {"policies": policies}}]}
    async with served({"a": good(), "b": good()}, ["a"], pools={"small": ["b"]}, route=route) as caller:
        plain = await caller.ask()
        cheap = await caller.ask({"x-llmproxy-policy": "cheap"})
        unknown = await caller.ask({"x-llmproxy-policy": "dear"})

    assert (plain.tried, cheap.tried) == ('"a";status=200', '"b";status=200')
    assert (unknown.status, unknown.error()["code"]) == (400, "unknown_policy")


async def test_a_place_whose_condition_is_not_met_is_passed_over() -> None:
    targets = [{"upstream": "a", "when": "tenant == 'gold'"}, "b"]
    async with served({"a": good(), "b": good()}, targets) as caller:
        asked = await caller.ask()
    async with served({"a": good()}, targets[:1]) as caller:
        alone = await caller.ask()

    assert asked.tried == '"b";status=200'
    assert (alone.status, alone.error()["code"]) == (400, "no_place_fits")


async def test_a_full_place_is_waited_for() -> None:
    slow = FakeUpstream().stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.1)
    async with served({"a": slow}, [{"upstream": "a", "limit": 1}], dialect="http") as caller:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(caller.send("GET", "/")) for _ in range(3)]
        statuses = [task.result().status for task in asking]

    assert statuses == [200, 200, 200]
    assert slow.connections == 1


async def test_an_upgrade_falls_back_where_nothing_was_sent() -> None:
    async with (
        echoing() as url,
        served({"a": NOWHERE, "b": url}, dialect="http") as caller,
        caller._session.ws_connect(f"{caller.gateway.url}/socket") as socket,
    ):
        await socket.send_str("Hi")
        said = await socket.receive_str()

    assert said == "Hi"


async def test_an_upgrade_is_not_repeated_after_it_was_sent() -> None:
    broken = FakeUpstream().reply(then="reset", after=0)
    async with echoing() as url, served({"a": broken, "b": url}, dialect="http") as caller:
        with pytest.raises(aiohttp.WSServerHandshakeError) as told:
            await caller._session.ws_connect(f"{caller.gateway.url}/socket")

    assert told.value.status == 502
