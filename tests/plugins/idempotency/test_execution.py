"""What is written down of an execution, by how it ended; and the same with real pipelines, in every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llmproxy.plugin import (
    Attempt,
    BadRequest,
    Body,
    Clock,
    Endpoint,
    Exchange,
    GatewayError,
    ProviderError,
    Reply,
    StoreAway,
    UpstreamError,
    UpstreamTimeout,
    store_key,
)
from llmproxy.stores import open_store
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, RawClient, RunningGateway, make_exchange, running_gateway
from llmproxy_idempotency.config import IdempotencyConfig
from llmproxy_idempotency.execution import Execution
from llmproxy_idempotency.heart import Heart
from llmproxy_idempotency.ledger import Claim, Ledger
from llmproxy_idempotency.record import Record, State

NAME = store_key("shop", "orders", "idempotency", "a")


class Case:
    """An execution of an exchange, and the record that it leaves."""

    def __init__(self, **policy: Any) -> None:
        self.store = open_store("memory://")
        self.ledger = Ledger(self.store, Heart(self.store, 30, Clock()), Clock())
        self.policy = IdempotencyConfig(store="kept", **policy)
        self.exchange = make_exchange(path="/pay")
        self.counted: list[str] = []
        self.execution: Execution
        self.claim: Claim

    async def start(self) -> Execution:
        claim = await self.ledger.claim(NAME, b"print", 60)
        assert isinstance(claim, Claim)
        self.claim = claim
        self.execution = Execution(
            self.exchange,
            claim,
            self.ledger,
            self.policy,
            lambda work: spawn(work, name="test"),
            self.counted.append,
        )
        return self.execution

    async def attempt(self, **known: Any) -> Attempt:
        """Make an attempt as the core does: noted, announced, and ended as given."""
        attempt = Attempt(len(self.exchange.attempts) + 1, Endpoint("shop"), 0.0)
        self.exchange.attempts.append(attempt)
        await self.execution.about_to_send(attempt)
        for name, value in known.items():
            setattr(attempt, name, value)
        return attempt

    async def run(self, inner: Callable[[Exchange], Awaitable[Reply]]) -> Any:
        """Run it; return its reply, or what it failed with."""
        await self.start()
        try:
            return await self.execution.run(inner)
        except Exception as fault:
            return fault

    async def record(self) -> Record:
        held = await self.store.get(NAME)
        assert held is not None
        return Record.unpack(held)


def failing(case: Case, fault: Exception) -> Callable[[Exchange], Awaitable[Reply]]:
    async def inner(exchange: Exchange) -> Reply:
        await case.attempt(error=fault)
        raise fault

    return inner


def answering(
    case: Case, status: int, body: bytes | Body = b"told"
) -> Callable[[Exchange], Awaitable[Reply]]:
    async def inner(exchange: Exchange) -> Reply:
        await case.attempt(status=status)
        return Reply(status, body=body)

    return inner


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (UpstreamError("upstream_refused", "x", phase="connect", sent=False), State.FREE),
        (UpstreamTimeout("connect", 1, sent=False), State.FREE),
        (GatewayError(503, "upstream_busy", "x"), State.FREE),
        (BadRequest("lossy_translation", "x"), State.FREE),
        (UpstreamError("upstream_reset", "x", phase="headers", sent=True), State.UNKNOWN),
        (UpstreamTimeout("total", 1, sent=True), State.UNKNOWN),
        (RuntimeError("a fault"), State.UNKNOWN),
    ],
)
async def test_a_failure_frees_the_key_if_nothing_left_and_only_then(fault: Exception, state: State) -> None:
    case = Case()

    assert await case.run(failing(case, fault)) is fault
    assert (await case.record()).state == state
    assert case.counted == ["released" if state == State.FREE else "unknown"]


async def test_an_unknown_outcome_keeps_its_reason_without_its_words() -> None:
    case = Case()
    await case.run(failing(case, UpstreamError("upstream_reset", "secret", phase="headers", sent=True)))
    record = await case.record()

    assert record.reason == "upstream_reset"
    assert b"secret" not in record.pack()


async def test_a_failure_before_any_attempt_frees_the_key() -> None:
    case = Case()

    async def inner(exchange: Exchange) -> Reply:
        raise RuntimeError("a fault")

    await case.run(inner)
    assert (await case.record()).state == State.FREE


async def test_one_attempt_that_may_have_left_is_enough() -> None:
    case = Case(on_unknown="resend")

    async def inner(exchange: Exchange) -> Reply:
        await case.attempt(error=UpstreamError("upstream_reset", "x", phase="headers", sent=True))
        last = UpstreamError("upstream_refused", "x", phase="connect", sent=False)
        await case.attempt(error=last)
        raise last

    await case.run(inner)
    assert (await case.record()).state == State.UNKNOWN


@pytest.mark.parametrize(("status", "state"), [(200, State.KEPT), (500, State.KEPT), (429, State.FREE)])
async def test_an_answer_is_kept_unless_it_says_that_nothing_was_done(status: int, state: State) -> None:
    case = Case()
    reply = await case.run(answering(case, status))

    assert (reply.status, reply.body) == (status, b"told")
    assert (await case.record()).state == state


async def test_an_answer_by_nobody_that_was_asked_is_kept_if_it_is_good() -> None:
    for status, state in ((200, State.KEPT), (503, State.FREE)):
        case = Case()

        async def inner(exchange: Exchange, status: int = status) -> Reply:
            return Reply(status, body=b"by another plugin")

        await case.run(inner)
        assert (await case.record()).state == state


async def test_a_providers_refusal_in_translation_is_kept_as_the_caller_sees_it() -> None:
    case = Case()
    face: Any = SimpleNamespace(error=lambda error: Reply.json({"told": error.message}, error.status))
    case.exchange.client_face = face
    fault = ProviderError(400, "bad", "no such tool", kind="invalid_request")

    assert await case.run(failing(case, fault)) is fault
    record = await case.record()
    assert (record.state, record.status, record.body) == (State.KEPT, 400, b'{"told":"no such tool"}')


async def test_a_providers_refusal_to_do_anything_frees_the_key() -> None:
    case = Case()
    case.exchange.client_face = SimpleNamespace()  # type: ignore[assignment]
    await case.run(failing(case, ProviderError(429, "slow", "slow down", kind="rate_limit")))

    assert (await case.record()).state == State.FREE


async def test_a_plugins_own_answer_is_executed_like_an_upstreams() -> None:
    for fault, state in (
        (GatewayError(404, "none", "x"), State.FREE),
        (RuntimeError("a fault"), State.UNKNOWN),
        (None, State.KEPT),
    ):
        case = Case()
        case.exchange.route.handler = lambda _: None  # type: ignore[assignment, return-value]

        async def inner(exchange: Exchange, fault: Exception | None = fault) -> Reply:
            if fault is not None:
                raise fault
            return Reply(200)

        await case.run(inner)
        assert (await case.record()).state == state


async def test_a_claim_that_another_worker_took_sends_nothing() -> None:
    case = Case()
    await case.start()
    await case.store.set(NAME, b"another's")
    with pytest.raises(GatewayError) as caught:
        await case.execution.run(answering(case, 200))

    assert caught.value.code == "idempotency_in_flight"
    assert await case.store.get(NAME) == b"another's"


@pytest.mark.parametrize(("policy", "told"), [("refuse", "idempotency_unavailable"), ("pass", None)])
async def test_a_store_that_goes_away_before_sending(
    policy: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(on_store_fault=policy)

    async def away(*_: Any, **__: Any) -> bool:
        raise StoreAway("away")

    await case.start()
    monkeypatch.setattr(case.store, "swap", away)
    results = await asyncio.gather(case.execution.run(answering(case, 200)), return_exceptions=True)

    assert [getattr(result, "code", None) for result in results] == [told]


async def test_cancelling_the_caller_leaves_the_execution_running() -> None:
    case, gate = Case(), asyncio.Event()
    await case.start()

    async def inner(exchange: Exchange) -> Reply:
        await case.attempt()
        await gate.wait()
        return Reply(200, body=b"late")

    caller = asyncio.create_task(case.execution.run(inner))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    outliving = asyncio.create_task(case.execution.outlive(0.0))
    await asyncio.sleep(0)
    gate.set()
    await outliving

    assert (await case.record()).body == b"late"


async def test_a_stream_whose_caller_left_before_its_head_is_read_to_its_end() -> None:
    case, gate = Case(), asyncio.Event()
    await case.start()
    body = Body()

    async def inner(exchange: Exchange) -> Reply:
        await case.attempt(status=200)
        await gate.wait()
        return Reply(200, body=body)

    caller = asyncio.create_task(case.execution.run(inner))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    outliving = asyncio.create_task(case.execution.outlive(0.0))
    gate.set()
    await asyncio.sleep(0.01)
    body.feed(b"x" * 200_000)
    body.end()
    await outliving

    assert (await case.record()).apart
    assert await case.ledger.body(NAME, await case.record()) == b"x" * 200_000


async def test_an_execution_that_outlives_its_deadline_is_given_up_as_unknown() -> None:
    case = Case()
    await case.start()

    async def inner(exchange: Exchange) -> Reply:
        await case.attempt()
        await asyncio.sleep(3600)
        return Reply(200)

    caller = asyncio.create_task(case.execution.run(inner))
    await asyncio.sleep(0)
    case.exchange.deadline = 1.0
    await case.execution.outlive(100.0)
    await asyncio.wait([caller])

    assert (await case.record()).state == State.UNKNOWN


# Every dialect, by a real gateway.

CONFIG = {
    "stores": {"kept": {"url": "memory://"}},
    "plugins": {"access": {"mode": "open"}, "idempotency": {"store": "kept"}},
    "models": {"fast": {"upstream": "llm", "model": "m"}},
    "routes": [
        {"name": "models", "match": {"path": "/*"}, "upstream": "llm", "plugins": ["access", "idempotency"]}
    ],
}
QUESTION = [{"role": "user", "content": "Hi"}]
CALLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "fast", "messages": QUESTION}),
    "responses": ("/v1/responses", {"model": "fast", "input": "Hi"}),
    "anthropic": ("/v1/messages", {"model": "fast", "max_tokens": 9, "messages": QUESTION}),
    "gemini": (
        "/v1beta/models/fast:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ),
}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None} | more
    told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + orjson.dumps(told) + b"\n\n"


USAGE = b"data: " + orjson.dumps({**ANSWER, "object": "chat.completion.chunk", "choices": []}) + b"\n\n"
EVENTS = [
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, finish_reason="stop"),
    USAGE,
    b"data: [DONE]\n\n",
]


@asynccontextmanager
async def gateway(upstream: FakeUpstream) -> AsyncIterator[RunningGateway]:
    llm = {"base_url": f"{upstream.url}/v1", "dialect": "openai", "proxy": None}
    async with running_gateway({**CONFIG, "upstreams": {"llm": llm}}) as running:
        yield running


async def ask(url: str, caller: str, *, stream: bool = False, text: str = "", key: str = "key-1") -> Any:
    path, body = CALLERS[caller]
    if stream and caller == "gemini":
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    elif stream:
        body = {**body, "stream": True}
    data = orjson.dumps({**body, **({"user": text} if text else {})})
    lines = [f"POST {path} HTTP/1.1", "Host: g", "Content-Type: application/json", f"Idempotency-Key: {key}"]
    head = "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode()
    async with RawClient(url) as client:
        return await client.exchange(head + data)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_dialect_gets_the_same_bytes_again(caller: str, stream: bool) -> None:
    upstream = FakeUpstream()
    upstream = upstream.stream(EVENTS, delay=0.001) if stream else upstream.reply(json=ANSWER)
    async with upstream, gateway(upstream) as running:
        first = await ask(running.url, caller, stream=stream)
        second = await ask(running.url, caller, stream=stream)
        other = await ask(running.url, caller, stream=stream, key="")

    assert (first.status, second.status) == (200, 200), first.body
    assert first.body == second.body
    assert (first.header("content-type"), second.header("idempotent-replayed")) == (
        second.header("content-type"),
        "true",
    )
    assert b"Hel" in first.body
    assert len(upstream.requests) == 1
    assert other.status == 400


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_dialect_is_told_in_its_own_words(caller: str) -> None:
    async with FakeUpstream().reset() as upstream, gateway(upstream) as running:
        await ask(running.url, caller)
        second = await ask(running.url, caller)

    assert second.status == 409
    assert second.header("x-should-retry") == "false"
    error = second.json()["error"]
    assert "new key" in error["message"]
    if caller in ("chat", "responses"):
        assert error["code"] == "idempotency_outcome_unknown"


async def test_usage_that_the_gateway_asked_for_is_not_in_what_is_given_again() -> None:
    async with FakeUpstream().stream(EVENTS, delay=0.001) as upstream, gateway(upstream) as running:
        first = await ask(running.url, "chat", stream=True)
        second = await ask(running.url, "chat", stream=True)

    assert upstream.requests[0].json()["stream_options"] == {"include_usage": True}
    assert first.body == second.body == b"".join(event for event in EVENTS if event is not USAGE)
