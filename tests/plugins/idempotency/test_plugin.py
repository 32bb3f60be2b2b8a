from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import (
    Caller,
    CallNext,
    Exchange,
    GatewayError,
    NoConfig,
    Plugin,
    Reply,
    StoreAway,
    hookimpl,
)
from llmproxy.runtime import Process
from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    Served,
    Serving,
    make_exchange,
    make_process,
    running_route,
)
from llmproxy_idempotency import IdempotencyPlugin

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
ONE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"id":1}'
STORES = {"stores": {"kept": {"url": "memory://"}}}


class TestContract(PluginContract):
    plugin_class = IdempotencyPlugin
    config: ClassVar[dict[str, Any]] = {"store": "kept"}
    route: ClassVar[dict[str, Any]] = {"required": True}
    more: ClassVar[dict[str, Any]] = {
        **STORES,
        "routes": [
            {
                "name": "test",
                "upstream": "upstream",
                "timeouts": {"total": "300ms"},
                "plugins": [{"contract": {"required": True}}],
            }
        ],
    }
    headers: ClassVar[dict[str, str]] = {"Idempotency-Key": KEY}


class Leaving(Plugin[NoConfig]):
    """Stands below; refuses, answers from a cache, fails or tries again as the request's header says."""

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        return Reply.text("from a cache") if self.told(exchange) == "cached" else None

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        if self.told(exchange) == "refuse":
            raise GatewayError(429, "too_many", "Too many.")
        if self.told(exchange) == "crash":
            raise RuntimeError("a fault")
        reply = await call_next(exchange)
        return await call_next(exchange) if self.told(exchange) == "again" else reply

    def told(self, exchange: Exchange) -> str | None:
        return exchange.request.headers.get("x-told")


@asynccontextmanager
async def serving(
    upstream: FakeUpstream | None, process: Process | None = None, **config: Any
) -> AsyncIterator[Serving]:
    table = {"use": IdempotencyPlugin, "store": "kept", **config}
    tables = {"idempotency": table, "leaving": {"use": Leaving}}
    async with running_route(tables, upstream=upstream, config=STORES, process=process) as started:
        yield started


def post(
    key: str | None = KEY, body: bytes = b'{"amount": 5}', path: str = "/pay", **headers: str
) -> Exchange:
    fields = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_exchange("POST", path, headers=fields | more, body=body)


def code(served: Served) -> tuple[int, str]:
    return served.reply.status, served.json()["code"]


def replayed(served: Served) -> bool:
    return served.reply.headers.get("idempotent-replayed") == "true"


async def test_the_first_result_is_given_again() -> None:
    async with (
        FakeUpstream().reply(201, json={"id": 1}, headers=[("X-Own", "y")]) as origin,
        serving(origin) as route,
    ):
        first, second = await route.serve(post()), await route.serve(post())

    assert len(origin.requests) == 1
    assert (first.reply.status, first.body) == (second.reply.status, second.body) == (201, b'{"id":1}')
    assert second.reply.headers.get("x-own") == "y"
    assert (replayed(first), replayed(second)) == (False, True)


async def test_a_quoted_key_is_the_same_key() -> None:
    async with FakeUpstream().reply(json={}) as origin, serving(origin) as route:
        served = [await route.serve(post(key)) for key in (KEY, f'"{KEY}"')]

    assert [replayed(each) for each in served] == [False, True]


async def test_another_key_is_another_request() -> None:
    async with FakeUpstream().reply(json={}).reply(json={}) as origin, serving(origin) as route:
        served = [await route.serve(post(key)) for key in ("one", "two")]

    assert [replayed(each) for each in served] == [False, False]
    assert len(origin.requests) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"body": b'{"amount": 6}'},
        {"path": "/pay?twice"},
        {"path": "/refund"},
        {"content_type": "text/plain"},
        {"authorization": "Bearer another"},
    ],
)
async def test_the_same_key_for_something_else_is_refused(other: dict[str, Any]) -> None:
    async with FakeUpstream().reply(json={}) as origin, serving(origin) as route:
        await route.serve(post())
        served = await route.serve(post(**other))

    assert code(served) == (422, "idempotency_key_reused")
    assert len(origin.requests) == 1


async def test_another_method_is_something_else() -> None:
    async with FakeUpstream().reply(json={}) as origin, serving(origin) as route:
        await route.serve(post())
        other = make_exchange(
            "PATCH",
            "/pay",
            headers={"Content-Type": "application/json", "Idempotency-Key": KEY},
            body=b'{"amount": 5}',
        )
        served = await route.serve(other)

    assert code(served) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "a b", '"open', "x" * 256, "ключ".encode().decode("latin-1")])
async def test_a_malformed_key_is_refused_before_anything_is_sent(key: str) -> None:
    async with FakeUpstream() as origin, serving(origin) as route:
        served = await route.serve(post(key))

    assert code(served) == (400, "idempotency_key_malformed")
    assert origin.requests == []


async def test_a_key_may_be_required() -> None:
    async with FakeUpstream() as origin, serving(origin, required=True) as route:
        served = await route.serve(post(None))

    assert code(served) == (400, "idempotency_key_required")


async def test_requests_without_a_key_and_safe_ones_pass_as_ever() -> None:
    async with (
        FakeUpstream().reply(json={}).reply(json={}).reply(json={}).reply(json={}) as origin,
        serving(origin, required=False) as route,
    ):
        served = [await route.serve(post(None)) for _ in range(2)]
        served += [
            await route.serve(make_exchange("GET", "/pay", headers={"Idempotency-Key": KEY}))
            for _ in range(2)
        ]

    assert [each.reply.status for each in served] == [200] * 4
    assert len(origin.requests) == 4


async def test_of_many_at_once_one_is_executed() -> None:
    async with FakeUpstream().raw(0.05, ONE, then="keep") as origin, serving(origin) as route:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(route.serve(post())) for _ in range(20)]
        served = [task.result() for task in tasks]
        later = await route.serve(post())

    assert len(origin.requests) == 1
    assert sorted(each.reply.status for each in served) == [200] + [409] * 19
    refused = next(each for each in served if each.reply.status == 409)
    assert code(refused) == (409, "idempotency_in_flight")
    assert refused.reply.headers.get("retry-after") == "1"
    assert replayed(later)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 422, 500, 502, 503])
async def test_an_answer_is_kept_whatever_it_says(status: int) -> None:
    async with (
        FakeUpstream().reply(status, body=b"" if status == 204 else b"told") as origin,
        serving(origin) as route,
    ):
        first, second = await route.serve(post()), await route.serve(post())

    assert len(origin.requests) == 1
    assert replayed(second)
    assert (first.reply.status, first.body) == (second.reply.status, second.body)
    assert (second.reply.headers.get("x-should-retry") == "false") == (status >= 500)


@pytest.mark.parametrize("status", [401, 408, 409, 421, 425, 429])
async def test_a_status_that_says_that_nothing_was_done_frees_the_key(status: int) -> None:
    async with (
        FakeUpstream().reply(status, json={}).reply(json={"id": 1}) as origin,
        serving(origin) as route,
    ):
        first, second, third = [await route.serve(post()) for _ in range(3)]

    assert [first.reply.status, second.reply.status, third.reply.status] == [status, 200, 200]
    assert [replayed(each) for each in (first, second, third)] == [False, False, True]


async def test_a_connection_that_is_refused_frees_the_key() -> None:
    process = make_process()
    async with serving(None, process) as route:
        served = [await route.serve(post()) for _ in range(2)]

    assert [code(each)[0] for each in served] == [502, 502]
    assert [code(each)[1] for each in served] != ["idempotency_outcome_unknown"] * 2


async def test_after_a_break_nobody_knows_and_nothing_is_sent_again() -> None:
    async with FakeUpstream().reset() as origin, serving(origin) as route:
        first, second, third = [await route.serve(post()) for _ in range(3)]

    assert first.reply.status == 502
    assert code(second) == code(third) == (409, "idempotency_outcome_unknown")
    assert "new key" in second.json()["detail"]
    assert second.reply.headers.get("x-should-retry") == "false"
    assert len(origin.requests) == 1


async def test_an_upstream_that_honours_keys_may_be_asked_again() -> None:
    async with (
        FakeUpstream().reset().reply(json={"id": 1}) as origin,
        serving(origin, on_unknown="resend") as route,
    ):
        first, second, third = [await route.serve(post()) for _ in range(3)]

    assert [first.reply.status, second.reply.status] == [502, 200]
    assert replayed(third)
    sent = {request.header("idempotency-key") for request in origin.requests}
    assert len(sent) == 1
    assert KEY not in sent


@pytest.mark.parametrize(
    ("forward", "seen"), [("unchanged", [KEY, KEY]), ("none", [None, None])], ids=["unchanged", "none"]
)
async def test_what_the_upstream_sees_of_the_key(forward: str, seen: list[str | None]) -> None:
    async with (
        FakeUpstream().reply(json={}).reply(json={}) as origin,
        serving(origin, forward=forward, ttl="20ms") as route,
    ):
        await route.serve(post())
        await asyncio.sleep(0.04)
        await route.serve(post())

    assert [request.header("idempotency-key") for request in origin.requests] == seen


async def test_two_tenants_may_have_the_same_key() -> None:
    class Who(Plugin[NoConfig]):
        @hookimpl
        async def pre_route(self, exchange: Exchange) -> Reply | None:
            tenant, name = (exchange.request.headers.get("x-who") or "").split("/")
            exchange.caller = Caller(tenant, name)
            return None

    tables = {"who": {"use": Who}, "idempotency": {"use": IdempotencyPlugin, "store": "kept"}}
    async with FakeUpstream() as origin, running_route(tables, upstream=origin, config=STORES) as route:
        for number in range(3):
            origin.reply(json={"n": number})
        callers = ("a/1", "b/1", "a/2")
        first = [await route.serve(post(x_who=who)) for who in callers]
        second = [await route.serve(post(x_who=who)) for who in callers]

    assert [each.json()["n"] for each in first] == [each.json()["n"] for each in second] == [0, 1, 2]
    assert len({request.header("idempotency-key") for request in origin.requests}) == 3


@pytest.mark.parametrize("told", ["refuse", "crash", "cached"])
async def test_what_never_left_frees_the_key(told: str) -> None:
    async with FakeUpstream().reply(json={"id": 1}) as origin, serving(origin) as route:
        await route.serve(post(x_told=told))
        second, third = await route.serve(post()), await route.serve(post())

    assert (second.reply.status, replayed(second), replayed(third)) == (200, False, True)


async def test_an_attempt_that_may_have_been_executed_is_the_last() -> None:
    async with FakeUpstream().reply(500, json={}).reply(json={}) as origin, serving(origin) as route:
        first = await route.serve(post(x_told="again"))
        second = await route.serve(post())

    assert code(first) == (502, "idempotency_not_resent")
    assert code(second) == (409, "idempotency_outcome_unknown")
    assert len(origin.requests) == 1


async def test_an_attempt_that_was_refused_may_be_followed_by_another() -> None:
    async with FakeUpstream().reply(429, json={}).reply(json={"id": 1}) as origin, serving(origin) as route:
        first = await route.serve(post(x_told="again"))
        second = await route.serve(post())

    assert first.json() == second.json() == {"id": 1}


async def test_a_stream_is_kept_and_given_again_whole() -> None:
    events = [b"data: %d\n\n" % number for number in range(50)]
    async with FakeUpstream().stream(events, delay=0.001) as origin, serving(origin) as route:
        first, second = await route.serve(post()), await route.serve(post())

    assert first.body == second.body == b"".join(events)
    assert replayed(second)
    assert second.reply.is_event_stream


async def test_a_stream_that_breaks_is_an_outcome_nobody_knows() -> None:
    async with (
        FakeUpstream().stream([b"data: 1\n\n"] * 9, then="reset", after=140) as origin,
        serving(origin) as route,
    ):
        first, second = await route.serve(post()), await route.serve(post())

    assert first.broken is not None
    assert code(second) == (409, "idempotency_outcome_unknown")


async def test_an_answer_that_is_too_long_is_told_of() -> None:
    async with (
        FakeUpstream().reply(201, body=b"x" * 200).stream([b"data: 1\n\n"] * 50) as origin,
        serving(origin, max_body=100) as route,
    ):
        served = [await route.serve(post(key)) for key in ("a", "a", "b", "b")]

    assert [each.reply.status for each in served] == [201, 409, 200, 409]
    assert code(served[1]) == code(served[3]) == (409, "idempotency_result_not_kept")
    assert "201" in served[1].json()["detail"]


async def test_a_long_answer_has_a_place_of_its_own() -> None:
    body = bytes(range(256)) * 400
    async with FakeUpstream().reply(body=body) as origin, serving(origin) as route:
        await route.serve(post())
        second = await route.serve(post())

    assert second.body == body


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_that_leaves_finds_the_result_later(streamed: bool) -> None:
    events = [b"data: %d\n\n" % number for number in range(20)]
    origin = FakeUpstream()
    origin = origin.stream(events, delay=0.01) if streamed else origin.raw(0.2, ONE, then="keep")
    async with origin, serving(origin) as route:
        caller = asyncio.create_task(route.serve(post()))
        await origin.received()
        await asyncio.sleep(0.05)
        caller.cancel()
        await asyncio.wait([caller])
        second = await route.serve(post())

    assert caller.cancelled()
    assert replayed(second)
    assert second.body == (b"".join(events) if streamed else b'{"id":1}')


class Away:
    """A store that is away for as long as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def go(self, *methods: str) -> None:
        from llmproxy.stores.memory import MemoryStore

        async def away(*_: Any, **__: Any) -> None:
            raise StoreAway("away")

        for method in methods:
            self._patch.setattr(MemoryStore, method, away)

    def come_back(self) -> None:
        self._patch.undo()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(monkeypatch)


@pytest.mark.parametrize("method", ["add", "swap"])
async def test_without_the_store_nothing_is_executed(away: Away, method: str) -> None:
    async with FakeUpstream().reply(json={"id": 1}) as origin, serving(origin, lease="600ms") as route:
        away.go(method)
        first = await route.serve(post())
        away.come_back()
        await asyncio.sleep(0.3)
        second = await route.serve(post())

    assert code(first) == (503, "idempotency_unavailable")
    assert (second.reply.status, replayed(second)) == (200, False)


async def test_without_the_store_requests_may_pass_unprotected(away: Away) -> None:
    async with (
        FakeUpstream().reply(json={}).reply(json={}) as origin,
        serving(origin, on_store_fault="pass") as route,
    ):
        away.go("add")
        served = [await route.serve(post()) for _ in range(2)]

    assert [each.reply.status for each in served] == [200, 200]
    assert len(origin.requests) == 2


async def test_a_result_that_could_not_be_kept_at_once_is_kept_later(away: Away) -> None:
    async with (
        FakeUpstream().raw(0.1, ONE, then="keep") as origin,
        serving(origin, lease="600ms") as route,
    ):
        caller = asyncio.create_task(route.serve(post()))
        await origin.received()
        away.go("swap")
        first = await caller
        away.come_back()
        while (second := await route.serve(post())).reply.status == 409:
            await asyncio.sleep(0.05)

    assert first.json() == {"id": 1}
    assert replayed(second)
    assert second.json() == {"id": 1}


async def test_a_reload_keeps_what_is_kept() -> None:
    process = make_process()
    async with FakeUpstream().reply(json={"id": 1}) as origin, serving(origin, process) as route:
        await route.serve(post())
        async with serving(origin, process) as successor:
            second = await successor.serve(post())

    assert replayed(second)


async def test_workers_ask_the_shared_store_whatever_they_have_at_hand(tmp_path: Path) -> None:
    stores = {"stores": {"kept": {"url": f"lmdb://{tmp_path}/kept", "near": "memory://", "near_ttl": "1m"}}}
    table = {"idempotency": {"use": IdempotencyPlugin, "store": "kept"}}
    async with (
        FakeUpstream().raw(0.1, ONE, then="keep") as origin,
        running_route(table, upstream=origin, config=stores) as one,
        running_route(table, upstream=origin, config=stores) as two,
    ):
        first = asyncio.create_task(one.serve(post()))
        await origin.received()
        early = await two.serve(post())
        await first
        late = await two.serve(post())

    assert code(early) == (409, "idempotency_in_flight")
    assert replayed(late)
