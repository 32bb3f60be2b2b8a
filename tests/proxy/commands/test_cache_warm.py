"""`llmproxy cache warm`, against a gateway that caches and against others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from llmproxy.cli import main
from llmproxy.commands import cache_warm
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


@asynccontextmanager
async def caching() -> AsyncIterator[RunningGateway]:
    async with running_gateway(CONFIG, environ={"TOKEN": TOKEN}) as gateway:
        yield gateway


def line(text: str, **more: Any) -> bytes:
    body = {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": text}], **more}
    return orjson.dumps({"path": "/v1/chat/completions", "body": body}) + b"\n"


async def warm(gateway: RunningGateway, file: Path, *options: str) -> Result:
    arguments = ["cache", "warm", str(file), *options, "--admin", gateway.admin_url, "--token-env", "TOKEN"]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})


async def test_what_became_of_the_lines_is_counted_and_told(tmp_path: Path) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(line("Qqq") + line("Qqq") + line("Qqq", temperature=1) + b"Qqq\n")
    async with caching() as gateway:
        run = await warm(gateway, file, "--concurrency", "1")

    assert run.stdout == "1 stored, 1 there already, 1 not kept, 1 failed\n"
    assert run.stderr == "line 3: not kept: sampled\nline 4: failed: not JSON\n"
    assert run.exit_code == 1


async def test_a_large_file_goes_in_parts_and_lines_keep_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_warm, "_PART", 300)
    file = tmp_path / "warm.ndjson"
    file.write_bytes(b"".join(line(str(number)) for number in range(7)) + b"?")
    async with caching() as gateway:
        run = await warm(gateway, file)

    assert run.stdout == "7 stored, 1 failed\n"
    assert run.stderr == "line 8: failed: not JSON\n"


async def test_an_empty_file_is_nothing_to_do(tmp_path: Path) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(b"# nothing\n")
    async with caching() as gateway:
        run = await warm(gateway, file)

    assert (run.stdout, run.exit_code) == ("nothing to do\n", 0)


async def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(line("Qqq"))
    async with caching() as gateway:
        missing = await warm(gateway, tmp_path / "missing")
        hasty = await warm(gateway, file, "--within", "9h")
        arguments = ["cache", "warm", str(file), "--admin", gateway.url, "--token-env", "TOKEN"]
        stranger = await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})

    assert (missing.exit_code, "missing" in missing.stderr) == (2, True)
    assert (hasty.exit_code, "'within' is a time" in hasty.stderr) == (2, True)
    assert stranger.exit_code == 69


async def test_a_gateway_that_breaks_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(line("Qqq"))
    follow = cache_warm.follow
    monkeypatch.setattr(cache_warm, "follow", lambda *given: list(follow(*given))[:-1])
    async with caching() as gateway:
        run = await warm(gateway, file)

    assert run.exit_code == 69
    assert "broke off; so far: 1 stored" in run.stderr
