"""What the README shows of each SDK gets an answer from a gateway without a configuration."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.testing import FakeUpstream

from .process import GatewayProcess, clean_environ

README = (Path(__file__).parents[2] / "README.md").read_text()
SHOWN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess("--listen", "127.0.0.1:0") as running:
        yield running


@pytest.mark.parametrize("mark", ["sdk", "openai", "anthropic", "gemini", "ollama"])
def test_an_example_prints_an_answer(
    mark: str, gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(rf"^```python\n# check: {mark}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert SHOWN in found[1]

    exec(compile(found[1].replace(SHOWN, gateway.url), "README.md", "exec"), {"__name__": f"readme_{mark}"})

    assert capsys.readouterr().out.strip()


# The caches.

TOKEN = "example-admin-0123456789"
SLOW = 0.3
WARM = '{"path": "/v1/chat/completions", "body": {"model": "gpt-4.1", "temperature": 0, "messages": []}}'


def shown(mark: str) -> str:
    found = re.search(rf"^```\w+\n# check: {mark}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """Answer like OpenAI, after a while; give the address."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        await asyncio.sleep(SLOW)
        message = {"role": "assistant", "content": "Rayleigh."}
        usage = {"prompt_tokens": 13, "completion_tokens": 389, "total_tokens": 402}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        told = {"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        return web.json_response({**told, "choices": [choice], "usage": usage})

    async with served(answer) as url:
        yield f"{url}/v1"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def program(path: Path) -> None:
    """Put `llmproxy` there."""
    file = path / "llmproxy"
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m llmproxy "$@"\n')
    file.chmod(0o755)


async def run(commands: str, path: Path, environ: Mapping[str, str] | None = None) -> str:
    shell = await asyncio.create_subprocess_exec(
        "sh",
        "-ec",
        commands,
        cwd=path,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await shell.communicate()
    assert shell.returncode == 0, told.decode()
    return told.decode()


class Folder:
    """Where somebody tries what the README shows, with ports of its own and a provider that costs nothing."""

    def __init__(self, path: Path, upstream: str) -> None:
        self.path = path
        self._ports = dict(zip(("127.0.0.1:8080", "127.0.0.1:9901"), free_ports(2), strict=True))
        config = self._there(shown("cached"))
        assert "{openai: {}}" in config
        real = f'{{openai: {{provider: openai, base_url: "{upstream}"}}}}'
        (path / "gateway.yaml").write_text(config.replace("{openai: {}}", real))
        (path / "questions.ndjson").write_text(WARM)
        program(path)

    def _there(self, text: str) -> str:
        for address, port in self._ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        return text

    @property
    def environ(self) -> Mapping[str, str]:
        path = f"{self.path}{os.pathsep}{os.environ['PATH']}"
        return {
            **clean_environ(),
            "PATH": path,
            "ADMIN_TOKEN": TOKEN,
            "OPENAI_API_KEY": "example-openai-0123456789",
            "NO_PROXY": "*",
        }

    async def run(self, commands: str) -> str:
        return await run(self._there(commands), self.path, self.environ)


async def test_the_second_time_it_is_a_hit_and_says_what_that_has_saved(tmp_path: Path) -> None:
    async with provider() as upstream:
        folder = Folder(tmp_path, upstream)
        with GatewayProcess("-c", tmp_path / "gateway.yaml", environ=folder.environ):
            another = shown("twice").replace("Why", "Why on earth")
            while "USD" not in await folder.run(another):  # prices are read behind the start
                await folder.run("llmproxy cache purge -c gateway.yaml --all")
                await folder.run(another)
            first, second = [await folder.run(shown("twice")) for _ in range(2)]
            insight = await folder.run(shown("insight"))

    assert "Cache-Status: llmproxy; fwd=miss; fwd-status=200; stored" in first
    assert re.search(
        r"^x-llmproxy-saved: 0\.003138 USD, 402 tokens, \d\.\d{3} s\r?$", second, re.MULTILINE
    ), second
    assert re.search(r"^Cache-Status: llmproxy; hit; ttl=\d+\r?$", second, re.MULTILINE)
    assert re.search(r"^in \d\.\d+ s$", second, re.MULTILINE)
    assert "differs first in messages[0] (blanks or case)" in insight
    assert "blue" not in insight
    assert re.search(r"^cache +models ", insight, re.MULTILINE)
    assert "1 stored" in insight
    assert "purged: 1 tag in answers" in insight


# Pools.


async def test_where_the_first_place_of_a_name_fails_the_next_one_answers_and_the_caller_is_told(
    tmp_path: Path,
) -> None:
    said = [{"type": "text", "text": "Hello!"}]
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": said}
    ending = {
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    first, second = FakeUpstream().reply(429, json={}), FakeUpstream().reply(json=message | ending)
    async with first, second:
        config = shown("pools")
        assert "{openai: {}, anthropic: {}}" in config
        there = [f"openai: {{base_url: '{first.url}/v1'}}", f"anthropic: {{base_url: '{second.url}/v1'}}"]
        file = tmp_path / "gateway.yaml"
        config = config.replace("{openai: {}, anthropic: {}}", f"{{{', '.join(there)}}}")
        file.write_text(f"{config}admin: {{listen: '127.0.0.1:0'}}\n")
        keys = {"OPENAI_API_KEY": "example-openai-0123456789", "ANTHROPIC_API_KEY": "example-0123456789"}
        with GatewayProcess("-c", file, "--listen", "127.0.0.1:0", environ=keys) as gateway:
            command = shown("tried").replace(SHOWN, gateway.url)
            told = await run(command, tmp_path)
        program(tmp_path)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        foreseen = await run(shown("foreseen"), tmp_path, {**clean_environ(), "PATH": path, **keys})

    assert "pool smart: openai/gpt-4.1, then anthropic/claude-sonnet-4-5" in foreseen
    assert told.startswith("HTTP/1.1 200 OK")
    tried = (
        '"openai/gpt-4.1";failure=rate_limit;status=429;ms=#, "anthropic/claude-sonnet-4-5";status=200;ms=#'
    )
    assert f"x-llmproxy-attempts: {tried}" in re.sub(r"ms=\d+", "ms=#", told)
    assert tried in re.sub(r"ms=\d+", "ms=#", README)
