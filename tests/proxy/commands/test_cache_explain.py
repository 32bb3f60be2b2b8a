"""`llmproxy cache explain`, against a gateway that caches and against others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from click.testing import CliRunner, Result

from llmproxy.cli import main
from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
APP_KEY = "sk-app-0123456789abcdef"
CONFIG = """
admin: {listen: "127.0.0.1:0", token: "${env:TOKEN}"}
stores: {answers: {url: "memory://?max_bytes=1MiB"}}
upstreams: {demo: {base_url: "http://demo.invalid", dialect: demo}}
plugins:
  access: {keys: [{name: app, tenant: acme, key: "${env:APP_KEY}"}]}
  cache: {store: answers}
routes:
  - name: models
    match: {path: "/v1/*"}
    upstream: demo
    plugins: [access, {cache: {profile: deterministic}}]
  - name: plain
    match: {path: "/plain/*"}
    upstream: demo
"""
PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": "Qqq"}]}
DATA = orjson.dumps(BODY).decode()


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    environ = {"TOKEN": TOKEN, "APP_KEY": APP_KEY}
    async with running_gateway(CONFIG, environ=environ) as running:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {APP_KEY}"}) as session,
            session.post(running.url + PATH, json=BODY) as reply,
        ):
            assert reply.status == 200
        yield running


async def explain(gateway: RunningGateway, *options: str, url: str = "") -> Result:
    arguments = ["cache", "explain", *options, "--admin", url or gateway.admin_url, "--token-env", "TOKEN"]
    run = await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})
    assert "Qqq" not in run.output
    assert APP_KEY not in run.output
    return run


async def test_a_hit_is_told_as_one(gateway: RunningGateway) -> None:
    run = await explain(gateway, PATH, "-d", DATA, "--tenant", "acme")
    lines = run.stdout.splitlines()

    assert lines[0] == "route     models, tenant acme, model echo"
    assert "          profile: deterministic (the route's own)" in lines
    assert any(line.startswith("stored    a hit: fresh, ") for line in lines)
    assert "part      temperature: 0" in lines


async def test_a_miss_names_what_differs(gateway: RunningGateway) -> None:
    run = await explain(
        gateway, PATH, "-d", DATA.replace("Qqq", "Qqq qqq"), "--tenant", "acme", "--key", "app"
    )
    lines = run.stdout.splitlines()

    assert "stored    nothing is stored" in lines
    assert any(line.endswith("differs first in messages[0]") for line in lines)


async def test_the_requests_own_credentials_say_who_asks(gateway: RunningGateway) -> None:
    known = await explain(gateway, PATH, "-d", DATA, "-H", f"Authorization: Bearer {APP_KEY}")
    unknown = await explain(gateway, PATH, "-d", DATA)

    assert "tenant acme" in known.stdout
    assert (unknown.exit_code, "holds no API key" in unknown.stderr) == (78, True)


@pytest.mark.parametrize("form", ["wire", "json", "line", "data"])
async def test_a_file_is_read_in_any_form(gateway: RunningGateway, tmp_path: Path, form: str) -> None:
    file = tmp_path / "request"
    texts = {
        "wire": f"POST {PATH} HTTP/1.1\nHost: g\nContent-Type: application/json\nContent-Length: {len(DATA)}\n\n{DATA}",
        "json": orjson.dumps({"method": "POST", "path": PATH, "body": BODY}).decode(),
        "line": orjson.dumps({"path": PATH, "tenant": "acme", "body": BODY, "reply": {}}).decode(),
        "data": DATA,
    }
    file.write_text(texts[form])
    options = [PATH, "-X", "POST", "-d", f"@{file}"] if form == "data" else [str(file)]
    run = await explain(gateway, *options, "--tenant", "acme")

    assert "stored    a hit: fresh" in run.stdout, run.stderr


async def test_programs_get_json(gateway: RunningGateway) -> None:
    run = await explain(gateway, PATH, "-d", DATA, "--tenant", "acme", "--json")

    assert orjson.loads(run.stdout)["caches"]["cache"]["entry"]["state"] == "fresh"


async def test_a_route_without_a_cache_says_so(gateway: RunningGateway) -> None:
    run = await explain(gateway, "/plain/x", "-d", DATA)

    assert run.stdout.splitlines()[1] == "cache     none on this route"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["qqq"], 2, "is no file, no path and no URL"),
        ([PATH, "-H", "no colon"], 2, "'Name: value'"),
        ([PATH, "-d", "@/missing"], 2, "/missing"),
        ([PATH, "--key", "app"], 2, "need a 'tenant'"),
        (["/nowhere"], 78, "No route matches"),
        (["https://h:x/"], 78, ""),
    ],
)
async def test_what_cannot_be_explained_is_told(
    gateway: RunningGateway, options: list[str], code: int, says: str
) -> None:
    run = await explain(gateway, *options)

    assert (run.exit_code, says in run.stderr) == (code, True), run.output


async def test_a_file_and_options_do_not_go_together(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "request"
    file.write_text(DATA)
    bad = tmp_path / "bad"
    bad.write_bytes(b"\xff")

    assert (await explain(gateway, str(file), "-d", "x")).exit_code == 2
    assert (await explain(gateway, str(bad))).exit_code == 2
    assert (await explain(gateway, PATH, url=gateway.url)).exit_code in {69, 78}
