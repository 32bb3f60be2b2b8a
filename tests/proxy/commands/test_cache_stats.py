"""`llmproxy cache stats`, against a gateway that caches and against others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from click.testing import CliRunner, Result

from llmproxy.cli import main
from llmproxy.commands.cache_stats import size
from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
CONFIG = """
admin: {listen: "127.0.0.1:0", token: "${env:TOKEN}"}
stores: {answers: {url: "memory://?max_bytes=1MiB"}}
upstreams: {demo: {base_url: "http://demo.invalid", dialect: demo}}
plugins: {cache: {store: answers}}
routes:
  - name: models
    match: {path: "/v1/*"}
    upstream: demo
    plugins: [{cache: {profile: deterministic}}]
"""
ASK = {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": "Say Qqq"}]}


@asynccontextmanager
async def caching(config: str = CONFIG) -> AsyncIterator[RunningGateway]:
    async with running_gateway(config, environ={"TOKEN": TOKEN}) as gateway:
        yield gateway


async def stats(gateway: RunningGateway, *options: str) -> Result:
    arguments = ["cache", "stats", *options, "--admin", gateway.admin_url, "--token-env", "TOKEN"]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})


async def ask(gateway: RunningGateway, times: int) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            async with session.post(f"{gateway.url}/v1/chat/completions", json=ASK) as reply:
                assert reply.status == 200


async def test_the_numbers_stand_in_tables() -> None:
    async with caching() as gateway:
        await ask(gateway, 3)
        run = await stats(gateway)

    requests, flights, store = [table.splitlines() for table in run.stdout.split("\n\n")]
    assert requests[1].split()[:9] == ["cache", "models", "2", "0", "0", "0", "1", "0", "66.7"]
    assert flights[1].split() == ["cache", "1", "0", "0", "0"]
    assert store[1].split()[:3] == ["answers", "near", "1"]
    assert store[1].endswith("0")
    assert "Qqq" not in run.stdout


async def test_programs_get_the_same_as_json() -> None:
    async with caching() as gateway:
        await ask(gateway, 2)
        told = orjson.loads((await stats(gateway, "--json")).stdout)

    assert told["caches"]["cache"]["routes"]["models"]["outcomes"] == {"hit": 1, "miss": 1}
    assert told["stores"]["answers"]["tiers"]["near"]["limit"] == 1 << 20


async def test_a_gateway_without_caches_says_so() -> None:
    async with caching('admin: {listen: "127.0.0.1:0", token: "${env:TOKEN}"}\nroutes: []') as gateway:
        run = await stats(gateway)

    assert (run.stdout, run.exit_code) == ("no cache is in use\n", 0)


async def test_what_is_no_admin_listener_tells_nothing() -> None:
    async with caching() as gateway:
        arguments = ["cache", "stats", "--admin", gateway.url, "--token-env", "TOKEN"]
        run = await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})

    assert run.exit_code == 69
    assert TOKEN not in run.stderr


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (5 << 50, "5120.0 TiB")],
)
def test_a_size_is_told_in_units(number: int, text: str) -> None:
    assert size(number) == text
