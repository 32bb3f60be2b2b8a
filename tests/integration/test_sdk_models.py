"""One path, three shapes: each SDK lists the models in its own dialect, and finds one by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from llmproxy.testing import running_gateway

from .sdks import KEY, config

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

NAMES = {"fast", "team/slow"}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    models = {"fast": {"upstream": "openai", "model": "m"}, "team/slow": {"upstream": "gemini", "model": "n"}}
    async with running_gateway({**config("http://127.0.0.1:9"), "models": models}) as gateway:
        yield gateway.url


async def test_openais_sdk_lists_models(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        listed = {model.id async for model in client.models.list()}
        one = await client.models.retrieve("fast")
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("unknown")

    assert listed == NAMES
    assert one.id == "fast"


async def test_anthropics_sdk_lists_models(url):
    async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY) as client:
        listed = {model.id async for model in client.models.list()}
        one = await client.models.retrieve("fast")
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("unknown")

    assert listed == NAMES
    assert one.type == "model"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_googles_sdk_lists_models(url, version):
    options = types.HttpOptions(base_url=url, api_version=version)
    async with genai.Client(api_key=KEY, http_options=options).aio as client:
        listed = {model.name async for model in await client.models.list()}
        one = await client.models.get(model="fast")

    assert listed == {f"models/{name}" for name in NAMES}
    assert one.name == "models/fast"


async def test_who_asks_first_does_not_decide_the_shape(url):
    """What a path means is remembered; a header that changes it is looked at every time."""
    await test_openais_sdk_lists_models(url)
    await test_anthropics_sdk_lists_models(url)
    await test_openais_sdk_lists_models(url)


async def test_what_a_provider_is_known_to_serve_is_listed_after_the_names_of_the_config(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "key-of-the-gateway")
    tree = config("http://127.0.0.1:9")
    tree["upstreams"] |= {"groq": {}}
    tree["models"] = {"fast": "groq/llama-3.1-8b-instant"}

    async with running_gateway(tree) as gateway:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
            listed = [model.id async for model in client.models.list()]
            one = await client.models.retrieve("groq/llama-3.1-8b-instant")
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=KEY) as client:
            paged = [model.id async for model in client.models.list(limit=10)]

    assert listed[0] == "fast"
    assert listed[1:] == sorted({name for name in listed if name.startswith("groq/")})
    assert one.id in listed
    assert paged == listed


async def test_a_route_that_writes_its_models_lists_those_alone(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "key-of-the-gateway")
    models = {"fast": "groq/llama-3.1-8b-instant", "guard-*": "groq/meta-llama/llama-guard-*"}
    tree = config("http://127.0.0.1:9", models=models)
    tree["upstreams"] |= {"groq": {}}

    async with (
        running_gateway(tree) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client,
    ):
        listed = [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("groq/llama-3.1-8b-instant")

    assert listed[0] == "fast"
    assert "guard-4-12b" in listed
    assert all(name.startswith("guard-") for name in listed[1:])
