from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import openai
import orjson
import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.plugin import BadField, BadRequest, GatewayError, ProviderError
from llmproxy_openai.errors import describe, error_event, error_reply

Ask = Callable[[GatewayError], Awaitable[openai.AsyncOpenAI]]


@pytest.fixture
async def client_of() -> AsyncIterator[Ask]:
    """Start a server that answers everything with one error, and return the SDK pointed at it."""
    stack = AsyncExitStack()

    async def start(error: GatewayError) -> openai.AsyncOpenAI:
        async def answer(request: web.Request) -> web.StreamResponse:
            if "stream" in await request.text():
                stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await stream.prepare(request)
                await stream.write(error_event(error))
                return stream
            reply = error_reply(error)
            return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)

        url = await stack.enter_async_context(served(answer))
        client = openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)
        return await stack.enter_async_context(client)

    async with stack:
        yield start


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadField("invalid_type", "No.", "model"), openai.BadRequestError),
        (GatewayError(401, "invalid_api_key", "No."), openai.AuthenticationError),
        (GatewayError(403, "tenant_not_allowed", "No."), openai.PermissionDeniedError),
        (BadRequest("model_not_found", "No.", status=404), openai.NotFoundError),
        (BadRequest("body_too_large", "No.", status=413), openai.APIStatusError),
        (GatewayError(429, "rate_limit_exceeded", "No.", retry_after=7), openai.RateLimitError),
        (GatewayError(502, "upstream_reset", "No."), openai.InternalServerError),
        (GatewayError(504, "upstream_timeout", "No."), openai.InternalServerError),
    ],
    ids=lambda value: value.code if isinstance(value, GatewayError) else "",
)
async def test_the_sdk_raises_its_typed_exception(
    client_of: Ask, error: GatewayError, expected: type[openai.APIStatusError]
) -> None:
    client = await client_of(error)

    with pytest.raises(expected) as caught:
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.status_code == error.status
    assert caught.value.code == error.code
    assert caught.value.param == describe(error)["param"]
    assert "No." in caught.value.message


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        ("invalid_request", 400, "invalid_request_error", "theirs"),
        ("authentication", 401, "invalid_request_error", "invalid_api_key"),
        ("permission", 403, "permission_error", "theirs"),
        ("rate_limit", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("quota", 429, "insufficient_quota", "insufficient_quota"),
        ("overloaded", 529, "server_error", "theirs"),
        ("server", 500, "server_error", "theirs"),
        ("timeout", 504, "server_error", "theirs"),
    ],
)
def test_another_providers_error_is_told_in_openais_words(
    kind: str, status: int, type_: str, code: str
) -> None:
    error = ProviderError(status, "theirs", "No.", kind=kind, type="their_type", param="messages")

    assert describe(error) == {"message": "No.", "type": type_, "param": "messages", "code": code}


async def test_the_sdk_raises_an_error_event_of_a_chat_stream(client_of: Ask) -> None:
    client = await client_of(GatewayError(502, "upstream_reset", "The upstream closed early."))
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )

    with pytest.raises(openai.APIError, match="closed early") as caught:
        _ = [chunk async for chunk in stream]

    assert caught.value.code == "upstream_reset"


async def test_the_sdk_raises_an_error_event_of_a_responses_stream(client_of: Ask) -> None:
    client = await client_of(GatewayError(502, "upstream_reset", "The upstream closed early."))
    stream = await client.responses.create(model="m", input="hi", stream=True)

    with pytest.raises(openai.APIError, match="closed early"):
        _ = [event async for event in stream]


async def test_the_sdk_sees_how_long_to_wait(client_of: Ask) -> None:
    client = await client_of(GatewayError(429, "rate_limit_exceeded", "No.", retry_after=6.2))

    with pytest.raises(openai.RateLimitError) as caught:
        await client.embeddings.create(model="m", input="hi")

    assert caught.value.response.headers["retry-after"] == "7"


def test_a_wait_is_never_told_as_zero() -> None:
    reply = error_reply(GatewayError(503, "no_capacity", "No.", retry_after=0.01))

    assert reply.headers.get("retry-after") == "1"


def test_a_missing_key_is_told_how_to_be_sent() -> None:
    assert (
        error_reply(GatewayError(401, "invalid_api_key", "No.")).headers.get("www-authenticate") == "Bearer"
    )


def test_an_error_event_is_one_whole_event() -> None:
    event = error_event(GatewayError(504, "upstream_timeout", 'It "broke"\noff.'))

    assert event.endswith(b"\n\n")
    assert event.count(b"\n\n") == 1
    assert orjson.loads(event.split(b"data: ")[1])["error"]["message"] == 'It "broke"\noff.'
