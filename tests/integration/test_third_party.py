"""A package of somebody else uses every surface of the gateway; a malformed one stops the start."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.hooks import HOOKS
from llmproxy.testing import FakeUpstream, RawClient, RawReply, RunningGateway, running_gateway

ROOT = Path(__file__).parents[2]
PACKAGES = Path(__file__).with_name("third_party")
TOKEN = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def config(api: str, spare: str) -> dict[str, Any]:
    plain = {"dialect": "http", "proxy": None}
    things = {"name": "things", "match": {"path": "/things/*"}, "targets": ["spare", "api"]}
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:TOKEN}"},
        "stores": {"main": "dict://atlas"},
        "plugins": {"atlas": {"store": "main"}, "reader": {"use": "atlas:ReaderPlugin"}},
        "upstreams": {
            "api": {"base_url": api, **plain},
            "spare": {"base_url": spare, **plain},
            "answers": {"base_url": api, "dialect": "atlas", "proxy": None, "api_key": "${env:TOKEN}"},
        },
        "models": {"wise": {"upstream": "answers", "model": "sage-2"}},
        "routes": [
            {**things, "strategy": "last-first", "plugins": ["atlas", "reader"]},
            {
                "name": "streams",
                "match": {"path": "/streams"},
                "upstream": "api",
                "plugins": [{"atlas": {"shout": True}}],
            },
            {"name": "asks", "match": {"path": "/atlas/*"}, "plugins": ["atlas"]},
        ],
    }


@pytest.fixture
async def api() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def spare() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gateway(
    api: FakeUpstream, spare: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningGateway]:
    monkeypatch.syspath_prepend(PACKAGES)
    async with running_gateway(config(api.url, spare.url), environ={"TOKEN": TOKEN}) as running:
        yield running


async def ask(
    url: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", method: str = ""
) -> RawReply:
    method = method or ("POST" if body else "GET")
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    async with RawClient(url) as client:
        return await client.exchange("\r\n".join([*lines, "", ""]).encode() + body)


async def calls(gateway: RunningGateway, until: str = "") -> list[str]:
    """Read the plugin's journal by its admin route, once `until` stands in it."""
    async with asyncio.timeout(5):
        while True:
            told = (await ask(gateway.admin_url, "/atlas/calls", BEARER)).json()
            if not until or any(until in call for call in told["calls"]):
                return list(told["calls"])
            await asyncio.sleep(0.01)


async def test_each_of_the_twelve_hooks_is_called(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"n": 1}, path="/things/1").stream([b"data: a\n\n"], path="/streams")
    await ask(gateway.url, "/things/1")
    await ask(gateway.url, "/streams")

    assert set(HOOKS) <= set(await calls(gateway, until="end /streams"))


async def test_a_miss_runs_the_hooks_in_their_order(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"n": 1})
    await ask(gateway.url, "/things/1")
    told = await calls(gateway, until="end /things/1")
    order = [call for call in told if call in HOOKS - {"cache_store"}]

    assert order[3:] == [
        "pre_route",
        "cache_lookup",
        "around_upstream",
        "transform_request",
        "attempt_done",
        "transform_response",
        "post_response",
    ]


async def test_its_store_answers_the_second_time(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"n": 1})
    first = await ask(gateway.url, "/things/1")
    await calls(gateway, until="cache_store")
    second = await ask(gateway.url, "/things/1")

    assert first.body == second.body
    assert (first.header("x-atlas"), second.header("x-atlas")) == ("miss", "hit")
    assert len(api.requests) == 1


async def test_its_strategy_orders_the_targets_and_it_may_go_on_to_the_next(
    gateway: RunningGateway, api: FakeUpstream, spare: FakeUpstream
) -> None:
    api.reply(503, json={})
    spare.reply(json={"from": "spare"})
    reply = await ask(gateway.url, "/things/1")

    assert reply.json() == {"from": "spare"}
    assert (len(api.requests), len(spare.requests)) == (1, 1)
    assert api.requests[0].header("x-signed-by") == "atlas"


async def test_its_transform_shouts_where_the_route_says_so(
    gateway: RunningGateway, api: FakeUpstream
) -> None:
    api.stream([b"data: ab\n\n", b"data: cd\n\n"])
    reply = await ask(gateway.url, "/streams")

    assert reply.body == b"data: AB\n\ndata: CD\n\ndata: END\n\n"


async def test_its_dialect_reads_the_model_and_sends_the_upstreams_name(
    gateway: RunningGateway, api: FakeUpstream
) -> None:
    api.reply(json={"answer": 42})
    reply = await ask(gateway.url, "/atlas/ask", body=b'{"model": "wise", "ask": "?"}')

    assert reply.json() == {"answer": 42}
    assert api.requests[0].body == b'{"model": "sage-2", "ask": "?"}'
    assert api.requests[0].header("x-atlas-key") == TOKEN


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [("/atlas/ask", b"{", "atlas_json"), ("/atlas/ask", b'{"model": "fool"}', "model_not_found")],
)
async def test_its_dialect_shapes_errors(gateway: RunningGateway, path: str, body: bytes, code: str) -> None:
    reply = await ask(gateway.url, path, body=body)

    assert reply.json() == {"atlas_error": code}


async def test_its_marker_header_shapes_errors_of_unknown_routes(gateway: RunningGateway) -> None:
    reply = await ask(gateway.url, "/nowhere", {"X-Atlas-Sdk": "1"})

    assert (reply.status, reply.json()) == (404, {"atlas_error": "unknown_route"})


async def test_it_may_answer_or_refuse_before_routing(gateway: RunningGateway, api: FakeUpstream) -> None:
    answered = await ask(gateway.url, "/things/1", {"X-Atlas": "answer"})
    refused = await ask(gateway.url, "/things/1", {"X-Atlas": "refuse"})

    assert answered.body == b"early"
    assert (refused.status, refused.json()["code"]) == (418, "teapot")
    assert api.requests == []


async def test_its_embedder_is_had_by_name(gateway: RunningGateway) -> None:
    reply = await ask(gateway.url, "/things/1", {"X-Atlas": "embed"})

    assert reply.json() == [[6.0, 3.0], [3.0, 0.0]]


async def test_its_configuration_adds_a_route(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"ok": True})
    reply = await ask(gateway.url, "/contributed")

    assert reply.json() == {"ok": True}


async def test_its_public_route_gets_the_paths_parameters(gateway: RunningGateway) -> None:
    reply = await ask(gateway.url, "/hello/world")

    assert reply.json() == {"hello": "world"}


async def test_its_admin_route_needs_the_token(gateway: RunningGateway) -> None:
    without = await ask(gateway.admin_url, "/atlas/calls")
    with_token = await ask(gateway.admin_url, "/atlas/calls", BEARER)

    assert (without.status, with_token.status) == (401, 200)


async def test_its_page_is_listed_on_the_front_page(gateway: RunningGateway) -> None:
    front = await ask(gateway.admin_url, "/", BEARER)
    page = await ask(gateway.admin_url, "/atlas", BEARER)

    assert b'<a href="/atlas">Atlas of calls</a>' in front.body
    assert page.body == b"<h1>Atlas</h1>"


async def test_its_counter_is_on_the_metrics_page(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={})
    await ask(gateway.url, "/things/1")
    await calls(gateway, until="end /things/1")
    metrics = await ask(gateway.admin_url, "/metrics")

    assert b'atlas_exchanges_total{result="ok"} 1\n' in metrics.body


async def test_a_child_exchange_runs_through_the_pipeline(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"child": True})
    reply = await ask(gateway.url, "/things/1", {"X-Atlas": "call"})
    told = await calls(gateway, until="end /things/1")

    assert reply.json() == {"child": True}
    assert api.requests[0].path == "/things/child"
    assert any(call.startswith("end /things/child ok") and "child of" in call for call in told)


async def test_a_detached_child_outlives_its_parent(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"child": True})
    reply = await ask(gateway.url, "/things/1", {"X-Atlas": "detach"})
    told = await calls(gateway, until="end /things/detached")

    assert (reply.status, reply.json()) == (202, {"reply": None})
    assert any(call.startswith("end /things/detached ok") for call in told)


async def test_what_it_shares_and_stores_survives_the_reload_it_asks_for(
    gateway: RunningGateway, api: FakeUpstream
) -> None:
    api.reply(json={"n": 1})
    await ask(gateway.url, "/things/1")
    await calls(gateway, until="cache_store")
    reloaded = await ask(gateway.url, "/things/2", {"X-Atlas": "reload"})
    again = await ask(gateway.url, "/things/1")
    told = (await ask(gateway.admin_url, "/atlas/calls", BEARER)).json()

    assert reloaded.json() == {"ok": True, "generation": 2}
    assert again.header("x-atlas") == "hit"
    assert told["opened"] == 1
    assert told["calls"].count("lifespan") == 2


async def test_it_gets_whole_replies_after_the_response(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={"n": 1})
    await ask(gateway.url, "/things/1")

    assert "end /things/1 ok kept 7" in await calls(gateway, until="end /things/1")


async def test_the_plugin_below_uses_its_service(gateway: RunningGateway, api: FakeUpstream) -> None:
    api.reply(json={})
    await ask(gateway.url, "/things/1")

    assert "reader" in await calls(gateway, until="reader")


async def test_it_logs_with_its_name(gateway: RunningGateway) -> None:
    lines = [orjson.loads(line) for line in gateway.log if b"atlas_started" in line]

    assert [(line["plugin"], line["listeners"]) for line in lines] == [("atlas", 1)]


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmproxy", *arguments]
    return subprocess.run(command, env=environment(**environ), capture_output=True, text=True, check=False)


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT / "proxy", ROOT / "plugins", PACKAGES)))
    return {**os.environ, "PYTHONPATH": path, **more}


def test_its_command_runs() -> None:
    told = run("atlas", "world", "--loud")

    assert told.stdout == "HELLO, WORLD\n", told.stderr


def test_its_command_is_listed_without_being_imported() -> None:
    code = (
        "import sys; from llmproxy.cli import main; main(['--help'], standalone_mode=False);"
        "print('atlas' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )

    assert "atlas       Greet somebody." in told.stdout
    assert told.stdout.endswith("False\n")


def test_its_command_has_its_own_help() -> None:
    assert "Greet somebody." in run("atlas", "--help").stdout


def test_it_is_listed_with_its_hooks() -> None:
    told = run("plugins").stdout.splitlines()
    at = next(index for index, line in enumerate(told) if line.startswith("atlas  (atlas 1.0)"))

    assert set(told[at + 1].strip().split(", ")) == HOOKS


async def test_two_workers_answer_each_other_and_one_of_them_does_what_is_done_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    path = tmp_path / "gateway.json"
    path.write_bytes(
        orjson.dumps({"listen": [address], **config("http://127.0.0.1:9", "http://127.0.0.1:9")})
    )
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llmproxy", "serve", "-c", str(path), "--workers", "2"),
        env=environment(TOKEN=TOKEN),
        stderr=asyncio.subprocess.PIPE,
    )
    assert gateway.stderr is not None
    try:
        async with asyncio.timeout(20):
            while b'"serving"' not in await gateway.stderr.readline():
                pass
        told = (await ask(f"http://{address}", "/things/1", {"X-Atlas": "ask"})).json()
    finally:
        gateway.terminate()
        await gateway.communicate()

    assert sorted(told) == ["once:0", "once:1"]


@pytest.mark.parametrize(
    ("plugin", "line"),
    [
        (
            {"use": "atlas.refused:Misspelt"},
            "plugin 'bad': no hook is called 'pre_rout'; did you mean 'pre_route'?",
        ),
        (
            {"use": "atlas.refused:WrongArgument"},
            "plugin 'bad': pre_route(self, request) should be pre_route(self, exchange)",
        ),
        ({"use": "atlas.refused:WrongColour"}, "plugin 'bad': 'pre_route' must be async def"),
        (
            {"use": "atlas.refused:Unmarked"},
            "plugin 'bad': 'pre_route' is a hook but is not marked @hookimpl",
        ),
        (
            {"use": "atlas.refused:OutOfOrder"},
            "plugin 'bad': 'pre_route' asks for a place in the order; the config's order is the order",
        ),
        ({"use": "atlas.refused:Failing"}, "plugin 'bad': contribute_config failed: ValueError: out of luck"),
        (
            {"use": "atlas.refused:NoPlugin"},
            "plugins.bad.use: 'atlas.refused:NoPlugin' is not a subclass of llmproxy.plugin.Plugin",
        ),
        ({"use": "atlsa"}, "plugins.bad.use: no plugin named 'atlsa' is installed; did you mean 'atlas'?"),
        ({"use": "atlas", "stor": "main"}, "plugins.bad.stor: unknown key \"stor\"; did you mean 'store'?"),
        ({"use": "atlas", "store": "mian"}, "plugin 'bad': no store is called 'mian' (configured: main)"),
    ],
    ids=lambda value: value.get("use") if isinstance(value, dict) else "",
)
def test_a_malformed_plugin_stops_the_start_with_one_line_that_names_it(
    plugin: dict[str, str], line: str, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.json"
    tree = {
        "listen": ["127.0.0.1:0"],
        "admin": {"listen": "off"},
        "stores": {"main": "memory://"},
        "upstreams": {"api": {"base_url": "http://127.0.0.1:9", "dialect": "http"}},
        "plugins": {"bad": plugin},
    }
    path.write_bytes(orjson.dumps(tree))
    told = run("serve", "-c", str(path))

    assert told.returncode == 78
    assert line in told.stderr
    assert "Traceback" not in told.stderr
