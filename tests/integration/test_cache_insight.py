"""Warming and insight, as an operator has them: real gateways with two workers, asked by the command line."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from click.testing import CliRunner
from tests.webserver import served

from llmproxy.cli import main

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

TOKEN = "the-admin-token-of-this-test"
KEYS = {"ACME_KEY": "sk-acme-0123456789abcdef", "OTHER_KEY": "sk-other-0123456789abcdef"}
SECRET = "The launch code is Qqq"
PATH = "/v1/chat/completions"
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
stores: {{answers: {{url: "{store}"}}}}
upstreams: {{provider: {{base_url: "{upstream}", dialect: openai}}}}
plugins:
  access:
    keys:
      - {{name: app, tenant: acme, key: "${{env:ACME_KEY}}"}}
      - {{name: app2, tenant: other, key: "${{env:OTHER_KEY}}"}}
  cache: {{store: answers{more}}}
routes:
  - name: models
    match: {{path: "/v1/*"}}
    upstream: provider
    plugins: [access, {{cache: {{profile: faq, key_headers: [x-version]}}}}]
"""


class Provider:
    """A provider that counts its calls and can be held up."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.calls += 1
        await self.open.wait()
        return web.json_response(completion(asked["model"], "An answer."))


def completion(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = web.Application()
    app.router.add_post(PATH, made.answer)
    async with served(app) as url:
        made.url = f"{url}/v1"
        yield made
        made.open.set()


class Gateway:
    """A gateway with two workers, its callers and its operator; what the operator was told is in `told`."""

    def __init__(self, process: GatewayProcess) -> None:
        self.process = process
        self.told: list[str] = []

    async def ask(self, text: str = SECRET, times: int = 1, tenant: str = "acme", **more: Any) -> list[str]:
        """Ask over connections of their own, so that both workers are met; return how each was answered."""
        headers = {"Authorization": f"Bearer {KEYS[f'{tenant.upper()}_KEY']}"}
        said = []
        for _ in range(times):
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(self.process.url + PATH, json=body(text, **more)) as reply,
            ):
                assert reply.status == 200, await reply.text()
                self.last = await reply.json()
                said.append(reply.headers["Cache-Status"])
        return said

    async def command(self, *arguments: str | Path, code: int = 0) -> str:
        """Run `llmproxy cache ...`; return what it says, errors included."""
        command = ["cache", *map(str, arguments)]
        command += ["--admin", self.process.admin_url, "--token-env", "ADMIN_TOKEN"]
        run = await asyncio.to_thread(CliRunner().invoke, main, command, env={"ADMIN_TOKEN": TOKEN})
        assert run.exit_code == code, run.output
        self.told.append(run.stdout + run.stderr)
        return self.told[-1]

    async def explain(self, text: str = SECRET, tenant: str = "acme", **more: Any) -> str:
        header = more.pop("header", None)
        options = ["-d", orjson.dumps(body(text, **more)).decode(), "--tenant", tenant]
        return await self.command("explain", PATH, *options, *(["-H", header] if header else []))

    async def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(await self.command("stats", "--json"))
        return told

    async def page(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.process.admin_url + path) as reply,
        ):
            return reply.status, await reply.text()


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt", "temperature": 0, "messages": [{"role": "user", "content": text}], **more}


def line(text: str = SECRET, tenant: str = "acme", reply: Any = None, **more: Any) -> bytes:
    tree = {"path": PATH, "tenant": tenant, "body": body(text, **more)}
    return orjson.dumps({**tree, "reply": reply} if reply else tree) + b"\n"


Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, provider: Provider) -> Iterator[Start]:
    """Start gateways; at the end nothing that they or their operator wrote holds a prompt or a secret."""
    running: list[Gateway] = []

    def begin(store: str = "memory://?max_bytes=16MiB", more: str = "", *, wait: bool = True) -> Gateway:
        path = tmp_path / f"gateway-{len(running)}.yaml"
        path.write_text(CONFIG.format(store=store, upstream=provider.url, more=more))
        process = GatewayProcess("-c", path, "--workers", "2", environ={**KEYS, "ADMIN_TOKEN": TOKEN})
        _ = process.__enter__() if wait else process.start()
        running.append(Gateway(process))
        return running[-1]

    yield begin
    for gateway in running:
        gateway.process.__exit__()
        written = "\n".join([gateway.process.text, *gateway.told])
        for secret in ("Qqq", TOKEN, *KEYS.values()):
            assert secret not in written


@pytest.fixture(
    params=["memory://?max_bytes=16MiB", "lmdb://{folder}/cache?map_size=16MiB"], ids=["memory", "lmdb"]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(folder=tmp_path)


async def test_what_was_warmed_is_a_hit_in_every_worker(
    start: Start, provider: Provider, store: str, tmp_path: Path
) -> None:
    gateway, file = start(store), tmp_path / "warm.ndjson"
    file.write_bytes(line() + line("Qqq two", stream=False) + line(tenant="other"))
    told = await gateway.command("warm", file, "--concurrency", "2", "--rate", "1000")
    again = await gateway.command("warm", file)
    said = await gateway.ask(times=12) + await gateway.ask("Qqq two", times=4)
    said += await gateway.ask(tenant="other", times=4)

    assert (told, again) == ("3 stored\n", "3 there already\n")
    assert all("; hit" in status for status in said), said
    assert provider.calls == 3


async def test_what_one_worker_has_is_given_to_the_other(
    start: Start, provider: Provider, tmp_path: Path
) -> None:
    gateway, file = start(), tmp_path / "warm.ndjson"
    file.write_bytes(line())
    await gateway.ask()
    await gateway.command("warm", file)
    said = await gateway.ask(times=12)

    assert all("; hit" in status for status in said), said
    assert provider.calls <= 2


async def test_what_cannot_be_warmed_is_counted_and_told_by_its_line(start: Start, tmp_path: Path) -> None:
    gateway, file = start(), tmp_path / "warm.ndjson"
    file.write_bytes(
        line() + b"Qqq\n" + line(tools=[{"type": "web_search"}], web_search_options={}) + b'{"path": "/Qqq"}'
    )
    told = await gateway.command("warm", file, "--concurrency", "1", code=1)

    assert told.startswith("1 stored, 1 not kept, 2 failed\n")
    assert "line 2: failed: not JSON" in told
    assert "line 3: not kept: " in told
    assert "line 4: failed: 404 unknown_route" in told


async def test_a_pinned_answer_stands_until_it_is_purged(
    start: Start, provider: Provider, store: str, tmp_path: Path
) -> None:
    gateway, file = start(store), tmp_path / "warm.ndjson"
    await gateway.ask()
    file.write_bytes(line(reply={"text": "Pinned."}))
    told = await gateway.command("warm", file)
    calls = provider.calls
    said = await gateway.ask(times=12)
    pinned = gateway.last["choices"][0]["message"]["content"]
    await gateway.command("purge", "--model", "gpt")
    after = await gateway.ask()

    assert told == "1 stored\n"
    assert all(re.search(r"; hit; ttl=3\d{8}", status) for status in said), said
    assert (pinned, provider.calls) == ("Pinned.", calls + 1)
    assert "fwd=miss" in after[0]


async def test_it_says_that_it_is_ready_when_it_is_warm(
    start: Start, provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(line() + line("Qqq two"))
    provider.open.clear()
    gateway = start(f"lmdb://{tmp_path}/cache", f", warm_on_start: {file}", wait=False)
    while not provider.calls:
        await asyncio.sleep(0.01)
    early = "listens on" in gateway.process.text
    provider.open.set()
    await gateway.process.said("listens on")
    ready = await gateway.page("/readyz")
    said = await gateway.ask(times=6) + await gateway.ask("Qqq two", times=6)

    assert not early
    assert ready == (200, "ok\n")
    assert all("; hit" in status for status in said), said
    assert provider.calls == 2
    await gateway.process.said('"event":"warmed"', times=2)


async def test_it_is_ready_in_time_though_it_is_not_warm(
    start: Start, provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "warm.ndjson"
    file.write_bytes(line())
    provider.open.clear()
    gateway = start(more=f", warm_on_start: {file}, warm_within: 300ms")
    await gateway.process.said('"event":"serving"')
    ready = await gateway.page("/readyz")
    provider.open.set()

    assert ready == (200, "ok\n")
    await gateway.process.said("chore_given_up", times=2)


async def test_the_numbers_of_both_workers_add_up(start: Start, store: str) -> None:
    gateway = start(store)
    said = await gateway.ask(times=20)
    hits = sum("; hit" in status for status in said)
    told = await gateway.stats()
    route = told["caches"]["cache"]["routes"]["models"]
    tier = told["stores"]["answers"]["tiers"]["near"]
    again = (await gateway.stats())["caches"]["cache"]["routes"]["models"]

    assert route["outcomes"] == {"hit": hits, "miss": 20 - hits}
    assert route["saved"]["tokens"] == 7 * hits
    assert route["hit_ratio"] == round(hits / 20, 4)
    assert again == route
    assert told["caches"]["cache"]["flights"]["led"] == 20 - hits
    assert tier["entries"] == (1 if "lmdb" in store else 20 - hits)
    assert tier["limit"] == (16 << 20) * (1 if "lmdb" in store else 2)
    assert 0 < tier["bytes"] < tier["limit"]


async def test_purges_and_what_a_store_gave_up_are_counted(start: Start, tmp_path: Path) -> None:
    gateway = start(f"lmdb://{tmp_path}/cache?map_size=1MiB")
    await gateway.command("purge", "--all", "--soft")
    for number in range(60):
        await gateway.ask(f"{number} " + "Qqq" * 4000)
    await gateway.command("warm", write(tmp_path, line(reply={"body": completion("gpt", "x" * 120_000)}) * 3))
    await gateway.command("warm", write(tmp_path, b"".join(map(large, range(12)))))
    told = (await gateway.stats())["stores"]["answers"]

    assert told["purges"] == {"soft everywhere": 1}
    assert told["tiers"]["near"]["evictions"]["replaced"] >= 2
    assert told["tiers"]["near"]["evictions"]["size"] > 0


def large(number: int) -> bytes:
    return line(f"Qqq {number}", reply={"body": completion("gpt", f"{number}" * 60_000)})


def write(folder: Path, data: bytes) -> Path:
    file = folder / "more.ndjson"
    file.write_bytes(data)
    return file


async def test_explain_says_what_a_request_would_meet(start: Start, store: str) -> None:
    gateway = start(store)
    await gateway.ask()
    hits = [await gateway.explain() for _ in range(4)]
    await gateway.command("purge", "--tenant", "acme")
    purged = await gateway.explain()

    assert all("stored    a hit: fresh" in told for told in hits), hits
    assert "profile: faq (the route's own)" in hits[0]
    assert "stored    purged" in purged


async def test_a_miss_names_the_part_that_differs_whoever_stored_the_other(start: Start, store: str) -> None:
    gateway = start(store)
    await gateway.ask("Something else altogether", max_tokens=3, seed=1)
    await gateway.ask()
    told = [
        (await gateway.explain(temperature=0.5), "temperature\n          here 0.5, there 0\n"),
        (await gateway.explain(SECRET.replace("code ", "code  ")), "messages[0] (blanks or case)\n"),
        (await gateway.explain("Qqq?"), "messages[0]\n"),
        (await gateway.explain(header="X-Version: 2"), "header x-version (only here)\n"),
        (await gateway.explain(seed=7), "seed (only here)\n"),
    ]

    for each, name in told:
        assert "stored    nothing is stored" in each
        assert f"differs first in {name}" in each


async def test_another_tenant_is_told_nothing_of_this_one(start: Start) -> None:
    gateway = start()
    await gateway.ask()
    mine, theirs = await gateway.explain(seed=1), await gateway.explain(seed=1, tenant="other")

    assert "nearest" in mine
    assert "stored    nothing is stored" in theirs
    assert "nearest" not in theirs
    digests = [set(re.findall(r"\b[0-9a-f]{16}\b", told)) for told in (mine, theirs)]
    assert digests[0].isdisjoint(digests[1])


async def test_the_dashboard_asks_by_labels_that_the_metrics_have(start: Start, tmp_path: Path) -> None:
    gateway = start(f"lmdb://{tmp_path}/cache?map_size=1MiB")
    await gateway.ask(times=3)
    await gateway.command("purge", "--all")
    _, text = await gateway.page("/metrics")
    labels: dict[str, set[str]] = {}
    for name, told in re.findall(r"^(llmproxy_cache_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', told))
    board = orjson.loads((Path(__file__).parents[2] / "deploy" / "grafana" / "caches.json").read_bytes())
    for expr in (target["expr"] for panel in board["panels"] for target in panel["targets"]):
        for name in set(re.findall(r"llmproxy_\w+", expr)) & labels.keys():
            wanted = {each.strip() for by in re.findall(r"by \(([^)]*)\)", expr) for each in by.split(",")}
            wanted |= set(re.findall(r'(\w+)(?:=~|!=|=)"', expr))
            assert wanted <= labels[name] | {"le"}, expr

    assert {
        "llmproxy_cache_entries",
        "llmproxy_cache_flights_total",
        "llmproxy_cache_purges_total",
    } <= labels.keys()
