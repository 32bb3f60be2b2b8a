"""The official SDK with another base_url: what it returns, raises and sends is as without the gateway."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from openai import AsyncOpenAI, AsyncStream

from llmproxy.testing import FakeUpstream

from .process import GatewayProcess
from .replaying import PRESENT, recordings, replaying

shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

Seen = dict[str, Any]
Call = Callable[[AsyncOpenAI], Awaitable[Any]]

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
server: {{drain_pause: 1ms}}
log: {{level: warning}}
upstreams:
  main: {{provider: openai, base_url: "{url}/v1", api_key: "${{env:KEY_OF_UPSTREAM}}"}}
models:
  fast: {{upstream: main, model: "gpt-4o-mini-2024-07-18"}}
plugins:
  access: {{keys: [{{name: web, tenant: shop, key: "${{env:KEY_OF_CALLER}}"}}]}}
  metrics: {{}}
  accesslog: {{}}
pipeline: [accesslog, metrics, access]
routes:
  - {{name: models, match: {{path: "/v1/*"}}, upstream: main{options}}}
"""
KEYS = {"KEY_OF_UPSTREAM": "sk-of-the-upstream", "KEY_OF_CALLER": "sk-of-the-caller"}
#: Any model passes by its own name; a route that lists models would serve no other.
OPEN = CONFIG.replace('models:\n  fast: {{upstream: main, model: "gpt-4o-mini-2024-07-18"}}\n', "")

#: Headers that belong to one connection, or that each server writes itself.
OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


def gateway_for(folder: Path, url: str, config: str = CONFIG, options: str = "") -> GatewayProcess:
    file = folder / "gateway.yaml"
    file.write_text(config.format(url=url, options=options))
    return GatewayProcess("-c", file, environ=KEYS)


@asynccontextmanager
async def sdk(url: str, key: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30) as client:
        yield client


async def see(call: Awaitable[Any]) -> Seen:
    """Make a call and keep everything a caller of the SDK can see of its outcome."""
    try:
        raw = await call
    except openai.APIError as fault:
        return {"error": see_error(fault)}
    seen: Seen = {"status": raw.status_code, "headers": dict(raw.headers)}
    try:
        parsed = raw.parse()
        seen["kind"] = type(parsed).__name__
        if not isinstance(parsed, AsyncStream):
            seen["answer"] = plain(parsed)
            return seen
        seen["answer"] = events = []
        async for event in parsed:
            events.append(plain(event))  # noqa: PERF401  # what came before an error counts too
    except openai.APIError as fault:
        seen["error"] = see_error(fault)
    except (
        AttributeError,
        TypeError,
        ValueError,
    ) as fault:  # the SDK's own, where a provider bends the shape
        seen["error"] = repr(fault)
    return seen


def plain(answer: Any) -> Any:
    if hasattr(answer, "model_dump"):
        return answer.model_dump(warnings=False)  # providers bend OpenAI's shapes
    return answer.content if hasattr(answer, "content") else answer


def see_error(fault: openai.APIError) -> Seen:
    response = getattr(fault, "response", None)
    return {
        "type": type(fault).__name__,
        "message": fault.message,
        "code": fault.code,
        "param": fault.param,
        "body": fault.body,
        "status": getattr(fault, "status_code", None),
        "request_id": getattr(fault, "request_id", None),
        "headers": dict(response.headers) if response is not None else {},
    }


def differs(through: Seen, direct: Seen) -> str:
    """Compare field by field, and name the first that differs.

    The gateway may name a request that the provider left without a name.
    """
    named = "x-request-id" in part_with_headers(direct)["headers"]
    for side in (through, direct):
        part = part_with_headers(side)
        left_out = OWN_HEADERS if named else OWN_HEADERS | {"x-request-id"}
        part["headers"] = {
            name: value for name, value in sorted(part["headers"].items()) if name not in left_out
        }
        if not named:
            part.pop("request_id", None)
    for field in direct.keys() | through.keys():
        # Compared as written, because recorded embeddings hold NaN.
        if repr(through.get(field)) != repr(direct.get(field)):
            return f"{field}: {through.get(field)!r:.400} instead of {direct.get(field)!r:.400}"
    return ""


def part_with_headers(seen: Seen) -> Seen:
    return seen if "headers" in seen else seen["error"]


# Recorded answers.


@pytest.fixture(scope="module")
def replay() -> Iterator[str]:
    with replaying() as url:
        yield url


@pytest.fixture(scope="module")
def recorded_gateway(replay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway_for(tmp_path_factory.mktemp("recorded"), replay, OPEN) as gateway:
        yield gateway.url


@pytest.fixture
async def pair(replay: str, recorded_gateway: str) -> AsyncIterator[tuple[AsyncOpenAI, AsyncOpenAI]]:
    """The SDK through the gateway, and straight to the provider's stand-in."""
    async with (
        sdk(recorded_gateway, "sk-of-the-caller") as through,
        sdk(replay, "sk-of-the-upstream") as direct,
    ):
        yield through, direct


METHODS: dict[str, Callable[[AsyncOpenAI], Any]] = {
    "openai.chat": lambda client: client.chat.completions.with_raw_response.create,
    "openai.responses": lambda client: client.responses.with_raw_response.create,
    "openai.completions": lambda client: client.completions.with_raw_response.create,
    "openai.embeddings": lambda client: client.embeddings.with_raw_response.create,
    "openai.moderations": lambda client: client.moderations.with_raw_response.create,
}


def asked(record: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded request's body, or a plain one for an answer recorded without its own."""
    body: dict[str, Any] | None = (record["request"] or {}).get("body")
    return body or {"model": "some-model", "messages": [], "input": [], "stream": record["stream"]}


def call_of(record: dict[str, Any]) -> Call:
    def call(client: AsyncOpenAI) -> Awaitable[Any]:
        method = METHODS[record["dialect"]](client)
        known = inspect.signature(method).parameters
        body = {"model": record["model"] or "some-model", **asked(record)}
        arguments = {name: value for name, value in body.items() if name in known}
        others = {name: value for name, value in body.items() if name not in known}
        waiting: Awaitable[Any] = method(
            **arguments, extra_body=others, extra_headers={"x-replay-id": record["id"]}
        )
        return waiting

    return call


def without_unasked_usage(seen: Seen, record: dict[str, Any]) -> Seen:
    """Leave out the usage event that metering asks for: it is taken out again unless the caller asked too.

    A few providers send it unasked, which cannot be told apart.
    """
    body = asked(record)
    wanted = (body.get("stream_options") or {}).get("include_usage")
    if record["dialect"] == "openai.chat" and record["stream"] and not wanted and "answer" in seen:
        seen["answer"] = [event for event in seen["answer"] if event["choices"] or not event["usage"]]
    return seen


async def compare(
    pair: tuple[AsyncOpenAI, AsyncOpenAI], records: Sequence[dict[str, Any]], at_once: int = 8
) -> None:
    """Ask for every recording both ways; say which differ."""
    through, direct = pair
    left = iter(records)
    different: list[str] = []

    async def work() -> None:
        for record in left:
            call = call_of(record)
            expected = without_unasked_usage(await see(call(direct)), record)
            if difference := differs(await see(call(through)), expected):
                different.append(f"{record['id']} ({record['provider']}): {difference}")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    assert different == []


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
class TestRecorded:
    pytestmark = shared

    async def test_every_recorded_answer_is_the_same_through_the_gateway(
        self, pair: tuple[AsyncOpenAI, AsyncOpenAI], dialect: str, streamed: bool
    ) -> None:
        records = [record for record in recordings(dialect) if record["stream"] == streamed]

        assert len(records) > 20
        await compare(pair, records)


def upload(client: AsyncOpenAI, headers: dict[str, str]) -> Awaitable[Any]:
    return client.files.with_raw_response.create(
        file=("notes.txt", b"some notes\n" * 1000), purpose="user_data", extra_headers=headers
    )


def transcribe(client: AsyncOpenAI, headers: dict[str, str]) -> Awaitable[Any]:
    return client.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=("speech.mp3", bytes(range(256)) * 40), extra_headers=headers
    )


class TestRecordedElsewhere:
    pytestmark = shared

    @pytest.mark.parametrize("dialect", ["openai.completions", "openai.embeddings", "openai.moderations"])
    async def test_the_smaller_endpoints_answer_the_same(
        self, pair: tuple[AsyncOpenAI, AsyncOpenAI], dialect: str
    ) -> None:
        records = recordings(dialect)

        assert len(records) >= 5
        await compare(pair, records)

    @pytest.mark.parametrize(
        ("dialect", "call"),
        [
            ("models", lambda client, _: client.models.with_raw_response.list()),
            ("files", upload),
            ("openai.audio", transcribe),
            (
                "batches",
                lambda client, headers: client.batches.with_raw_response.retrieve("b", extra_headers=headers),
            ),
            (
                "openai.responses.item",
                lambda client, headers: client.responses.with_raw_response.retrieve(
                    "resp", extra_headers=headers
                ),
            ),
        ],
        ids=["models", "files", "audio", "batches", "a stored response"],
    )
    async def test_calls_without_a_json_body_answer_the_same(
        self,
        pair: tuple[AsyncOpenAI, AsyncOpenAI],
        dialect: str,
        call: Callable[[AsyncOpenAI, dict[str, str]], Awaitable[Any]],
    ) -> None:
        through, direct = pair
        record = (
            next(record for record in recordings(dialect) if record["provider"] == "openai")
            if (dialect != "models")
            else {"id": ""}
        )
        headers = {"x-replay-id": record["id"]}

        expected = await see(call(direct, headers))

        assert expected["status"] == 200
        assert differs(await see(call(through, headers)), expected) == ""

    async def test_speech_is_the_same_to_the_byte(self, pair: tuple[AsyncOpenAI, AsyncOpenAI]) -> None:
        (record,) = (one for one in recordings("openai.audio") if one["provider"] == "openrouter")
        sounds = [
            await client.audio.speech.create(
                model="tts", voice="alloy", input="Ruby", extra_headers={"x-replay-id": record["id"]}
            )
            for client in pair
        ]

        assert sounds[0].content == sounds[1].content
        assert len(sounds[0].content) > 1000


# Made answers, and what the upstream is sent.

MESSAGES: list[Any] = [{"role": "user", "content": "Grüße, «fast»! \U0001f600 \\u0041"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
]
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":%b%b}\n\n'
STREAM = [
    CHUNK % (b'[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]', b""),
    CHUNK % (b'[{"index":0,"delta":{},"finish_reason":"stop"}]', b""),
    CHUNK % (b"[]", b',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'),
    b"data: [DONE]\n\n",
]
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5]}
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=0123456789abcdef"}

#: (how the SDK is called with a model, whether it streams)
CALLS: dict[str, Callable[[AsyncOpenAI, str], Awaitable[Any]]] = {
    "chat": lambda client, model: client.chat.completions.create(
        model=model, messages=MESSAGES, extra_body={"nested": {"model": "not this one", "n": 1.50}}
    ),
    "chat with tools, streamed": lambda client, model: client.chat.completions.create(
        model=model, messages=MESSAGES, tools=TOOLS, stream=True, stream_options={"include_usage": True}
    ),
    "responses": lambda client, model: client.responses.create(model=model, input="fast"),
    "embeddings": lambda client, model: client.embeddings.create(model=model, input=["a", "b"]),
    "audio": lambda client, model: client.audio.transcriptions.create(
        model=model, file=("fast.mp3", bytes(range(256)) * 40), extra_headers=BOUNDARY
    ),
    "files": lambda client, _: client.files.create(
        file=("notes.txt", b"\0fast\r\n" * 1000), purpose="user_data", extra_headers=BOUNDARY
    ),
}


@asynccontextmanager
async def both_ways(
    folder: Path, upstream: FakeUpstream, options: str = ""
) -> AsyncIterator[tuple[AsyncOpenAI, AsyncOpenAI]]:
    async with upstream:
        with gateway_for(folder, upstream.url, CONFIG, options) as gateway:
            async with (
                sdk(gateway.url, "sk-of-the-caller") as through,
                sdk(upstream.url, "sk-of-the-upstream") as direct,
            ):
                yield through, direct


async def test_requests_arrive_unchanged_but_for_the_model_and_the_key(tmp_path: Path) -> None:
    upstream = FakeUpstream().reply(json={"object": "list", "data": [VECTOR]})
    async with both_ways(tmp_path, upstream) as (through, direct):
        for call in CALLS.values():
            await call(direct, "gpt-4o-mini-2024-07-18")
            await call(through, "fast")

    for name, straight, passed in zip(CALLS, upstream.requests[::2], upstream.requests[1::2], strict=True):
        assert passed.body == straight.body, name
        assert (passed.method, passed.target) == (straight.method, straight.target), name
        assert travelling(passed.headers) == travelling(straight.headers), name
        assert passed.header("authorization") == straight.header("authorization"), name
    assert upstream.faults == []


def travelling(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that are the caller's, in order and spelling."""
    own = {b"host", b"connection", b"accept-encoding", b"content-length", b"authorization"}
    added = {b"traceparent", b"x-request-id"}
    return [pair for pair in headers if pair[0].lower() not in own | added]


async def test_a_metered_stream_asks_for_its_usage_and_keeps_it_to_itself(tmp_path: Path) -> None:
    upstream = FakeUpstream().stream(STREAM)
    async with both_ways(tmp_path, upstream) as (through, direct):
        calls = [
            lambda client, model: client.chat.completions.create(model=model, messages=MESSAGES, stream=True),
            CALLS["chat with tools, streamed"],
        ]
        seen = []
        for call in calls:
            for client, model in ((direct, "gpt-4o-mini-2024-07-18"), (through, "fast")):
                seen.append([event.model_dump() async for event in await call(client, model)])

    straight, metered, asked_straight, asked_metered = (request.body for request in upstream.requests)
    added = b',"stream_options":{"include_usage":true}'
    assert metered.replace(added, b"") == straight
    assert len(metered) == len(straight) + len(added)
    assert asked_metered == asked_straight
    assert seen[1] == seen[0][:2]
    assert seen[3] == seen[2]
    assert seen[3][2]["usage"]["total_tokens"] == 3


async def test_an_unmetered_stream_is_sent_as_it_came(tmp_path: Path) -> None:
    upstream = FakeUpstream().stream(STREAM)
    async with both_ways(tmp_path, upstream, ", meter_usage: false") as (through, direct):
        seen = [
            [
                event.model_dump()
                async for event in await client.chat.completions.create(
                    model=model, messages=MESSAGES, stream=True
                )
            ]
            for client, model in ((direct, "gpt-4o-mini-2024-07-18"), (through, "fast"))
        ]

    assert upstream.requests[0].body == upstream.requests[1].body
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


ERRORS: list[tuple[int, list[tuple[str, str]], Any]] = [
    (401, [], {"error": {"message": "Incorrect key", "type": "invalid_request_error", "code": "bad_key"}}),
    (404, [], {"error": {"message": "No model", "type": "not_found", "param": "model", "code": None}}),
    (429, [("Retry-After", "7"), ("X-RateLimit-Reset-Requests", "1s")], {"error": {"message": "Slow"}}),
    (429, [("retry-after-ms", "1500"), ("x-should-retry", "false")], {"error": {"code": "quota"}}),
    (500, [("openai-processing-ms", "3")], {"error": {"message": "The server had an error"}}),
    (503, [("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")], {"detail": "not of OpenAI's shape"}),
    (418, [("Content-Type", "text/plain")], b"no JSON at all"),
]
FAILING: list[Call] = [
    lambda client: client.chat.completions.create(model="fast", messages=MESSAGES),
    lambda client: client.chat.completions.create(model="fast", messages=MESSAGES, stream=True),
    lambda client: client.responses.create(model="fast", input="x"),
    lambda client: client.files.retrieve("file-1"),
]


async def test_an_error_is_raised_as_without_the_gateway(tmp_path: Path) -> None:
    upstream = FakeUpstream()
    for status, headers, body in ERRORS:
        for _ in range(2 * len(FAILING)):
            written = [("x-request-id", "req_of_the_provider"), *headers]
            raw = body if isinstance(body, bytes) else None
            upstream.reply(status, json=body if raw is None else None, body=raw, headers=written)
    async with both_ways(tmp_path, upstream) as (through, direct):
        for status, _, _ in ERRORS:
            for call in FAILING:
                expected = await see(call(direct))
                seen = await see(call(through))

                assert expected["error"]["status"] == status
                assert expected["error"]["request_id"] == "req_of_the_provider"
                assert differs(seen, expected) == ""


async def test_the_sdk_retries_as_the_provider_says(tmp_path: Path) -> None:
    upstream = FakeUpstream().reply(429, json={}, headers=[("retry-after-ms", "1")]).reply(json={"data": []})
    async with upstream:
        with gateway_for(tmp_path, upstream.url) as gateway:
            async with AsyncOpenAI(
                base_url=f"{gateway.url}/v1", api_key="sk-of-the-caller", max_retries=1
            ) as client:
                page = await client.files.list()

    assert page.data == []
    assert len(upstream.requests) == 2


async def test_the_models_listed_are_those_that_the_gateway_serves(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        with gateway_for(tmp_path, upstream.url) as gateway:
            async with sdk(gateway.url, "sk-of-the-caller") as client:
                listed = [model.id async for model in client.models.list()]
                found = await client.models.retrieve("fast")
                with pytest.raises(openai.NotFoundError):
                    await client.models.retrieve("gpt-4o-mini-2024-07-18")

    assert listed[0] == "fast"
    assert "main/gpt-4o-mini" in listed
    assert all(name.startswith("main/") for name in listed[1:])
    assert found.id == "fast"
    assert upstream.requests == []


async def test_a_wrong_key_is_an_authentication_error_that_shows_no_key(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        with gateway_for(tmp_path, upstream.url) as gateway:
            async with sdk(gateway.url, "sk-wrong-canary") as client:
                with pytest.raises(openai.AuthenticationError) as refused:
                    await client.chat.completions.create(model="fast", messages=MESSAGES)

    body: Any = refused.value.body
    assert set(body) == {"message", "type", "param", "code"}
    assert b"canary" not in orjson.dumps(see_error(refused.value))
    assert upstream.requests == []
