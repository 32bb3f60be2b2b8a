"""The call log through whole gateways: every call once, whoever writes; its tenant's alone; no secret anywhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import asyncpg
import orjson
import pytest
from tests.postgresserver import PostgresServer

from llmproxy.testing import FakeUpstream, Judge, RawClient, running_gateway

from .load import Tally, chat, load
from .process import GatewayProcess, clean_environ

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams: {{judge: {{base_url: "{judge}/v1", dialect: openai}}}}
models: {{fast: {{upstream: judge, model: gpt-4o-mini}}}}
plugins: {{access: {{mode: open}}, calllog: {{path: "{database}", bodies: redacted}}}}
pipeline: [calllog, access]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
ADMIN = "the-admin-token-of-this-test"
CALLERS, EACH = 8, 25


def rows(database: Path) -> list[dict[str, Any]]:
    """Return all that is in the database, as SQLite has it."""
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        cursor = db.execute("SELECT * FROM calls LEFT JOIN bodies USING (number) ORDER BY number")
        names = [name for name, *_ in cursor.get_description()] if rows_exist(db) else []
        return [dict(zip(names, row, strict=True)) for row in cursor]
    finally:
        db.close()


def rows_exist(db: apsw.Connection) -> bool:
    return db.execute("SELECT 1 FROM calls").fetchone() is not None


async def come(database: Path, count: int, within: float = 10.0) -> list[dict[str, Any]]:
    """Wait for so many rows."""
    async with asyncio.timeout(within):
        while len(found := rows(database)) < count:
            await asyncio.sleep(0.05)
    return found


async def ask_often(url: str, caller: int) -> None:
    async with AsyncExitStack() as stack:
        client: RawClient | None = None
        for number in range(EACH):
            if client is None or number % 5 == 0:  # a new connection may come to the other worker
                client = await stack.enter_async_context(RawClient(url, timeout=30.0))
            name = f"c{caller}-{number}"
            request = chat(stream=bool(number % 2)).replace(
                b"Host: gateway", b"Host: gateway\r\nx-request-id: " + name.encode()
            )
            reply = await client.exchange(request)
            assert reply.status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")
async def test_two_workers_write_every_call_once_into_one_database(tmp_path: Path) -> None:
    database, file = tmp_path / "calls.db", tmp_path / "gateway.yaml"
    async with Judge() as judge:
        file.write_text(CONFIG.format(judge=judge.url, database=database))
        with GatewayProcess("-c", file, "--workers", "2", environ={"ADMIN_TOKEN": ADMIN}) as gateway:
            await gateway.said("serving")
            async with asyncio.TaskGroup() as group:
                for caller in range(CALLERS):
                    group.create_task(ask_often(gateway.url, caller))
            shown = await command(database, "--tenant", "default", "-n", "3")
            gateway.signal(signal.SIGTERM)
            await gateway.exited()
        found = rows(database)

    assert len(found) == judge.totals.requests == CALLERS * EACH
    assert len({row["id"] for row in found}) == CALLERS * EACH
    assert {(row["status"], row["result"], row["tries"]) for row in found} == {(200, "ok", 1)}
    assert {(row["input"], row["output"]) for row in found} == {(7, 5)}
    assert len(shown) <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")
async def test_the_killing_of_a_worker_harms_no_record_but_its_last(tmp_path: Path) -> None:
    database, file = tmp_path / "calls.db", tmp_path / "gateway.yaml"
    async with Judge() as judge:
        file.write_text(CONFIG.format(judge=judge.url, database=database))
        with GatewayProcess("-c", file, "--workers", "2", environ={"ADMIN_TOKEN": ADMIN}) as gateway:
            await gateway.said("serving")
            async with load(gateway.url, callers=8, patience=10.0) as tally:
                await come(database, 20)
                os.kill(gateway.workers()[0], signal.SIGKILL)
                before = len(rows(database))
                await come(database, before + 100)
            gateway.signal(signal.SIGTERM)
            await gateway.exited()
        found = rows(database)
        db = apsw.Connection(str(database))
        sound = db.pragma("integrity_check")
        db.close()

    assert sound == "ok"
    assert len({row["number"] for row in found}) == len(found) <= judge.totals.requests
    assert len(found) >= tally.answered / 4


async def command(database: Path, *arguments: str) -> list[Any]:
    """Run `llmproxy logs`; return what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llmproxy", "logs", str(database), "--json", *arguments),
        env=clean_environ(),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    return [orjson.loads(line) for line in output.splitlines()]


def tree(url: str, database: Path, **config: Any) -> dict[str, Any]:
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN_TOKEN}"},
        "upstreams": {
            "main": {"base_url": f"{url}/v1", "dialect": "openai", "api_key": "${env:UPSTREAM_KEY}"}
        },
        "models": {"fast": {"upstream": "main", "model": "gpt-4o-mini"}},
        "plugins": {
            "calllog": {"path": str(database), **config},
            "access": {
                "keys": [
                    {"name": "web", "tenant": "acme", "key": "${env:ACME_KEY}"},
                    {"name": "bot", "tenant": "shop", "key": "${env:SHOP_KEY}"},
                ]
            },
            "cache": {"store": "answers"},
        },
        "stores": {"answers": {"url": "memory://"}},
        "pipeline": ["calllog", "access"],
        "routes": [
            {
                "name": "models",
                "match": {"path": "/v1/*"},
                "upstream": "main",
                "plugins": [{"cache": {"profile": "faq"}}],
            }
        ],
    }


#: Things that are to be found nowhere, by where they are sent.
CANARIES = {
    "UPSTREAM_KEY": "sk-canary-upstream-0123456789",
    "ACME_KEY": "llmp-canary-acme-0123456789ab",
    "SHOP_KEY": "llmp-canary-shop-0123456789ab",
    "ADMIN_TOKEN": "canary-admin-0123456789abcdef",
}
SENT = {
    "cookie": "sid=canary-cookie-0123456789",
    "x-app-token": "canary-other-key-0123456789",
    "x-custom": "canary-custom-0123456789",
    "user-agent": "canary-agent-0123456789",
}
PATH = "/v1/chat/completions?key=canary-query-0123456789"


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as fake:
        yield fake


async def say(session: aiohttp.ClientSession, url: str, key: str, body: Any, path: str = PATH) -> int:
    headers = {"Authorization": f"Bearer {key}", **SENT}
    async with session.post(url + path, json=body, headers=headers) as reply:
        with suppress(aiohttp.ClientPayloadError):  # a stream may be cut
            await reply.read()
        return reply.status


@pytest.mark.parametrize("bodies", ["off", "redacted"])
async def test_no_secret_is_in_any_column(tmp_path: Path, upstream: FakeUpstream, bodies: str) -> None:
    database = tmp_path / "calls.db"
    error = {"error": {"message": f"Incorrect API key {CANARIES['UPSTREAM_KEY']}", "code": "invalid_api_key"}}
    text = (
        f"my key is {CANARIES['ACME_KEY']}, {SENT['cookie']}, card 4111 1111 1111 1111, canary@mail.example"
    )
    answer = {
        "choices": [{"message": {"content": text}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }
    upstream.reply(json=answer).reply(401, json=error).stream([b"data: " + orjson.dumps(answer) + b"\n\n"])
    message = {"messages": [{"role": "user", "content": text}], "password": "canary-password-0123456789"}
    async with running_gateway(tree(upstream.url, database, bodies=bodies), environ=CANARIES) as gateway:
        async with aiohttp.ClientSession() as session:
            for number, model in enumerate(["fast", "fast", "fast", "sk-canary-model-0123456789"]):
                body = {"model": model, "n": 1, "seed": number, "stream": number == 2, **message}
                await say(session, gateway.url, CANARIES["ACME_KEY"], body)
            await say(session, gateway.url, "llmp-canary-wrong-0123456789", {"model": "fast", **message})
        found = await come(database, 5)
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert [row["tenant"] for row in found].count("acme") == 4
    assert [name for row in found for name, value in row.items() if "canary" in str(value)] == []
    assert all((row["request"] is None) == (bodies == "off") or row["tenant"] != "acme" for row in found)
    assert b"canary" not in everything
    assert b"4111" not in everything


async def test_a_tenants_filter_shows_none_of_anothers_and_pages_meet(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    database = tmp_path / "calls.db"
    upstream.reply(json={"choices": []})
    admin = {"Authorization": f"Bearer {CANARIES['ADMIN_TOKEN']}"}
    async with (
        running_gateway(tree(upstream.url, database), environ=CANARIES) as gateway,
        aiohttp.ClientSession() as session,
    ):
        for number in range(10):
            key = CANARIES["SHOP_KEY" if number % 2 else "ACME_KEY"]
            await say(session, gateway.url, key, {"model": "fast", "seed": number, "messages": []})
        await come(database, 10)
        url, calls, query = f"{gateway.admin_url}/logs", [], "?tenant=acme&limit=2"
        while query:
            async with session.get(url + query, headers=admin) as reply:
                page = await reply.json()
            calls += page["calls"]
            query = f"?tenant=acme&limit=2&before={page['next']}" if page["next"] else ""
        async with session.get(url) as reply:
            refused = reply.status

    assert ([call["tenant"] for call in calls], {call["key"] for call in calls}) == (["acme"] * 5, {"web"})
    assert len({call["number"] for call in calls}) == 5
    assert refused == 401


async def test_a_leader_that_leaves_has_the_usage_of_its_attempt(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    database = tmp_path / "calls.db"
    delta = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    last = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":40}}\n\ndata: [DONE]\n\n'
    upstream.stream([delta] * 40 + [last], delay=0.02)
    body = orjson.dumps(
        {"model": "fast", "stream": True, "temperature": 0, "messages": [{"role": "user", "content": "?"}]}
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CANARIES['ACME_KEY']}\r\n"
    )
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    async with running_gateway(tree(upstream.url, database), environ=CANARIES) as gateway:
        async with RawClient(gateway.url) as leader, RawClient(gateway.url) as follower:
            await leader.send(request)
            await upstream.received()
            await follower.send(request)
            await asyncio.sleep(0.2)
            await leader.close()
            await follower.read_reply(method="POST")
        found = await come(database, 2)
    by_tries = {row["tries"]: row for row in found}

    assert len(upstream.requests) == 1
    assert (by_tries[1]["result"], by_tries[1]["input"], by_tries[1]["output"]) == ("client_gone", 7, 40)
    assert (by_tries[0]["result"], by_tries[0]["cache"], by_tries[0]["cost"]) == ("ok", "joined", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")
async def test_a_postgres_that_is_away_costs_no_answer_and_takes_each_record_once(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    file, url = tmp_path / "gateway.yaml", own_postgres.url()
    environ = {"ADMIN_TOKEN": ADMIN, "DATABASE": url}
    own_postgres.stop()
    async with Judge() as judge:
        config = CONFIG.replace('path: "{database}"', 'to: postgres, url: "${{env:DATABASE}}"')
        file.write_text(config.format(judge=judge.url))
        with GatewayProcess("-c", file, "--workers", "2", environ=environ) as gateway:
            async with load(gateway.url, callers=8, patience=10.0) as tally:
                await gateway.said("postgres_away", times=2)
                own_postgres.start()
                await written(url, 60)
                own_postgres.kill()
                await more(tally, 60)
                await gateway.said("postgres_away", times=3)
                own_postgres.start()
                await more(tally, 60)
                own_postgres.hang()
                await more(tally, 60)
                own_postgres.resume()
            shown = await written(url, judge.totals.requests)
            status, page = await ask_admin(gateway.admin_url, "limit=5&status=200")
            own_postgres.stop()
            gone, _ = await ask_admin(gateway.admin_url, "limit=5")
            gateway.signal(signal.SIGTERM)
            await gateway.exited()

    assert tally.failed == []
    assert len({row["id"] for row in shown}) == len(shown) == judge.totals.requests
    assert (status, len(page["calls"]), gone) == (200, 5, 503)


async def more(tally: Tally, count: int) -> None:
    """Wait until so many more requests are answered."""
    wanted = tally.answered + count
    async with asyncio.timeout(20):
        while tally.answered < wanted:
            await asyncio.sleep(0.01)


async def written(url: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many rows in a Postgres."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(20):
            while not await connection.fetchval("SELECT to_regclass('llmproxy_calllog.calls')"):
                await asyncio.sleep(0.05)
            while len(found := await connection.fetch("SELECT * FROM llmproxy_calllog.calls")) < count:
                await asyncio.sleep(0.05)
    except TimeoutError:
        told = await connection.fetchval("SELECT count(*) FROM llmproxy_calllog.calls")
        raise AssertionError(f"{told} of {count} records have come") from None
    finally:
        await connection.close()
    return [dict(row) for row in found]


async def ask_admin(url: str, query: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/logs?{query}", headers=headers) as reply,
    ):
        return reply.status, await reply.json()
