"""Tenants of odd names whose keys, users and questions are called the same: none meets what is another's."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import Serving, make_exchange, running_route
from llmproxy_calllog.database import Reader
from llmproxy_calllog.filtering import MOST, Filter
from llmproxy_calllog.naming import named
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.reporting import Period, report, rows

#: Names that separators, patterns, cuts, cases or normal forms could make one of.
TENANTS = (
    "default",
    "acme",
    "ACME",
    "acme ",
    " acme",
    "ac%",
    "acm_",
    "*",
    "a",
    "t",
    "ta",
    "a/b",
    "a",
    "a:b",
    "1:a",
    "a\0b",
    "a\0",
    "a}b{",
    "%7D",
    "' OR ''='",
    "\u00e4",
    "a\u0308",
    "\u65e5\u672c",
    "\U0001f600",
    "x" * 199,
    "x" * 200,
    named("x" * 200),
    "x" * 300 + "1",
    "x" * 300 + "2",
    "\u00e4" * 150 + "1",
    "\u00e4" * 150 + "2",
)
NAMES = ("web", "default", "acme", "*", "a/b", "y" * 300 + "1", "y" * 300 + "2", "\u00e4")
MANY = 1_000_000
#: How many send an id that others send too.
REPEATED = 0.2
#: Steps after which all that was written is read.
LIFE = 250
LIMITS = [
    {"name": "of-tenant", "counts": "requests", "at_most": MANY, "window": "month"},
    {"name": "of-key", "scope": "key", "counts": "requests", "at_most": MANY, "window": "month"},
    {"name": "of-user", "scope": "user", "counts": "requests", "at_most": MANY, "rolling": "30d"},
    {
        "name": "of-a-key",
        "scope": "key",
        "match": "web",
        "counts": "requests",
        "at_most": MANY,
        "window": "month",
    },
    {"name": "words", "scope": "team", "counts": "tokens", "at_most": MANY * 10, "window": "month"},
]
_LEFT = re.compile(r'"([^"]+)";r=(\d+)')


class Who(NamedTuple):
    """Whose call it is."""

    tenant: str
    key: str
    user: str

    @property
    def caller(self) -> Caller:
        """The caller as an exchange has it; a team of his name, too."""
        return Caller(self.tenant, self.key, (("user", self.user), ("team", self.user)))


class World:
    """What all tenants have done, as it should be."""

    def __init__(self, serving: Serving, choose: random.Random, numbers: Iterator[int]) -> None:
        self.asked: dict[str, Counter[str]] = defaultdict(Counter)
        self._counted: Counter[tuple[str, ...]] = Counter()
        self._serving, self._choose, self._numbers = serving, choose, numbers

    async def step(self) -> None:
        """Have somebody ask, and check what he is told: an answer of his own tenant's, and where his limits stand."""
        choose = self._choose
        who = Who(choose.choice(TENANTS), choose.choice(NAMES), choose.choice(NAMES))
        name = "the-same" if choose.random() < REPEATED else f"e{next(self._numbers)}"
        exchange = make_exchange(
            body={
                "model": "echo",
                "temperature": 0,
                "messages": [{"role": "user", "content": f"Question {choose.randint(1, 3)}"}],
            },
            caller=who.caller,
            name=name,
        )
        served = await self._serving.serve(exchange)
        assert served.reply.status == 200, (who, served.body)
        self.asked[who.tenant][name] += 1
        self._check_answer(who.tenant, served.body, served.reply.headers.get("cache-status") or "")
        self._check_limits(who, served.reply.headers.get("ratelimit") or "")

    def _check_answer(self, tenant: str, body: bytes, status: str) -> None:
        """Check that an answer comes from the cache only where this tenant has had it before."""
        key = "answer", tenant, body.decode()
        assert "; hit" not in status or self._counted[key], (tenant, status)
        self._counted[key] += 1

    def _check_limits(self, who: Who, told: str) -> None:
        left = {name: MANY - int(number) for name, number in _LEFT.findall(told)}
        counted = {
            "of-tenant": (who.tenant,),
            "of-key": (who.tenant, who.key),
            "of-user": (who.tenant, who.user),
        }
        if who.key == "web":
            counted["of-a-key"] = who.tenant, who.key
        for name, account in counted.items():
            self._counted[name, *account] += 1
            assert left.pop(name) == self._counted[name, *account], (name, who)
        assert left == {}


@asynccontextmanager
async def life(
    folder: Path, store: str, choose: random.Random, numbers: Iterator[int]
) -> AsyncIterator[World]:
    tables: dict[str, Any] = {
        "calllog": {"use": "calllog", "path": str(folder / "calls.db")},
        "ledger": {"use": "ledger", "directory": str(folder / "ledger")},
        "cache": {"use": "cache", "store": "kept"},
        "quota": {"use": "quota", "store": "kept", "limits": LIMITS},
    }
    config = {
        "stores": {"kept": {"url": store}},
        "plugins": {"openai": {"use": "openai"}},
        "models": {"echo": "upstream/echo"},
    }
    async with running_route(
        tables, dialect="demo", options={"cache": {"profile": "deterministic"}}, config=config
    ) as serving:
        yield World(serving, choose, numbers)


def check_rows(folder: Path, asked: dict[str, Counter[str]]) -> None:
    """Check that each tenant's reports, rows and records are his calls, all of them and no others."""
    books, log = Books(folder / "ledger" / FILE, reading=True), Reader(folder / "calls.db")
    try:
        for tenant in TENANTS:
            own, period = asked.get(tenant, Counter[str]()), Period(tenant=tenant)
            told = list(rows(books, period))
            assert {row["tenant"] for row in told} <= {tenant}
            assert sorted(row["exchange"] for row in told) == sorted(own.elements()), tenant
            assert sum(each["rows"] for each in report(books, ("key", "user"), period)) == own.total()
            calls = log.read(Filter(tenant=tenant, limit=MOST))
            assert sorted(call["id"] for call in calls) == sorted(own.elements()), tenant
            for name in NAMES:
                assert {
                    call["id"] for call in log.read(Filter(tenant=tenant, key=name, limit=MOST))
                } <= own.keys()
        everybody = {each["tenant"]: each["rows"] for each in report(books, ("tenant",), Period())}
        assert everybody == {tenant: names.total() for tenant, names in asked.items()}
    finally:
        log.close()
        books.close()


async def walk(tmp_path: Path, steps: int, seed: int) -> None:
    """Take so many steps; what is written is read after each life."""
    choose, numbers = random.Random(seed), count(1)
    for number in range(-(-steps // LIFE)):
        folder = tmp_path / str(number)
        folder.mkdir()
        store = "memory://" if number % 2 else f"lmdb://{folder}/kept?map_size=16MiB&counters_map_size=4MiB"
        async with life(folder, store, choose, numbers) as world:
            for _ in range(LIFE):
                await world.step()
        check_rows(folder, world.asked)


async def test_no_tenant_meets_anothers_rows_limits_or_answers(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    await walk(tmp_path, 2 * LIFE, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_no_tenant_meets_anothers_in_100_000_steps(tmp_path: Path) -> None:
    await walk(tmp_path, 100_000, seed=1)
