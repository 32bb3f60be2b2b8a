"""What the tests of the SDKs share: a gateway before the strict provider, an upstream for each of its dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
from google import genai
from google.genai import types

from llmproxy.testing import RunningGateway, running_gateway

from .strict_provider import StrictProvider

#: The dialects of upstreams, and what each base URL ends in.
PREFIXES = {
    "openai": "/v1",
    "openai-responses": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "bedrock": "",
}

KEY = "key-of-the-caller"

LOOK = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

#: One red pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="


@dataclass
class Site:
    """The provider, the gateway before it, and where SDKs find it."""

    provider: StrictProvider
    gateway: RunningGateway

    @property
    def url(self) -> str:
        """The gateway's address without a slash."""
        return self.gateway.url

    @property
    def asked(self) -> Any:
        """The last request, as the provider understood it."""
        return self.provider.asked[-1]


def config(url: str, **route: Any) -> dict[str, Any]:
    """Return a gateway with an upstream of each dialect, all of them the same provider."""
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": {name: {"base_url": url + prefix, "dialect": name} for name, prefix in PREFIXES.items()},
        "plugins": {"access": {"mode": "open"}, "metrics": {}},
        "pipeline": ["metrics", "access"],
        "routes": [{"name": "models", **route}],
    }


@asynccontextmanager
async def site(**route: Any) -> AsyncIterator[Site]:
    """Serve the strict provider behind a gateway; `route` holds more keys of its one route."""
    async with StrictProvider() as provider, running_gateway(config(provider.url, **route)) as gateway:
        yield Site(provider, gateway)


async def asked_by_openai(url: str, *, stream: bool) -> Any:
    """Have OpenAI's SDK ask the model `own` at a gateway, which calls a tool; return what it used."""
    tool = {"type": "function", "function": {"name": "look", "parameters": LOOK}}
    asked: Any = {"model": "own", "messages": [{"role": "user", "content": "Paris?"}], "tools": [tool]}
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        if stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
            chunks = [chunk async for chunk in await client.chat.completions.create(**asked)]
            choices = [choice for chunk in chunks for choice in chunk.choices]
            calls = [call for choice in choices for call in choice.delta.tool_calls or []]
            finish = next(choice.finish_reason for choice in choices if choice.finish_reason)
            usage = chunks[-1].usage
        else:
            got = await client.chat.completions.create(**asked)
            calls, finish, usage = got.choices[0].message.tool_calls, got.choices[0].finish_reason, got.usage

    assert "".join(call.function.arguments or "" for call in calls) == '{"city":"Paris"}'
    assert (finish, usage.prompt_tokens, usage.completion_tokens) == ("tool_calls", 40, 20)
    return usage


async def asked_by_google(url: str) -> None:
    """Have Google's SDK ask it for a stream."""
    options = types.HttpOptions(base_url=url, api_version="v1beta")
    async with genai.Client(api_key=KEY, http_options=options).aio as client:
        got = [each async for each in await client.models.generate_content_stream(model="own", contents="Hi")]

    assert "".join(chunk.text or "" for chunk in got).strip() == "Hello there, this is an answer."
    assert got[-1].usage_metadata.total_token_count == 60
