"""The ledger against the judge's own count: callers who leave, a worker that is killed, no request without its row."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import lmdb
import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.plugin import AccountScope, configured_plugins, reserving
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.testing import Judge, RawClient
from llmproxy_quota import QuotaPlugin
from llmproxy_quota.book import Book

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

#: Limits that nothing is refused by: each call takes of them, and its row must say what.
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
stores: {{counters: {{url: "lmdb://{counters}"}}}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{fast: {{upstream: judge, model: judged}}}}
prices: {{"judge/judged": {{input: 1, output: 10}}}}
plugins:
  access: {{mode: open}}
  ledger: {{directory: "{directory}", post_every: 200ms}}
  quota:
    store: counters
    lease: 2s
    limits:
    - {{name: calls, counts: requests, at_most: 1000000000, window: month}}
    - {{name: at-once, counts: in_flight, at_most: 1000}}
    - {{name: words, counts: tokens, at_most: 1000000000, rolling: 365d}}
    - {{name: budget, counts: money, at_most: 1000000, rolling: 365d}}
pipeline: [access, ledger, quota]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
#: How many leave at a random moment; some of them when their answer was whole already.
LEAVING = 0.45
CALLERS = 24
#: The most tokens of output that a request asks for.
LONGEST = 60


def request(name: str, choose: random.Random) -> tuple[bytes, int]:
    """Write a request for a whole answer or a stream, of random length and pace; tell its tokens of output too."""
    stream = choose.random() < 0.7
    body = orjson.dumps(
        {
            "model": "fast",
            "stream": stream,
            "max_tokens": LONGEST,
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    events, size = choose.randint(1, 40), choose.randint(1, 60)
    words = f"events={events}; size={size}; delay={choose.choice([0, 0.002, 0.005])}"
    words += choose.choice(["", "", "; wait=0.01"])
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
    lines += [f"x-request-id: {name}", f"x-judge: {words}", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body, events if stream else size


async def ask(url: str, names: Iterator[str], seed: int, whole: dict[str, int]) -> None:
    """Ask again and again, and leave some answers at a random moment; note what was received whole."""
    choose = random.Random(seed)
    for name in names:
        data, tokens = request(name, choose)
        try:
            async with RawClient(url, timeout=20.0) as client:
                if choose.random() < LEAVING:
                    await client.send(data)
                    await asyncio.sleep(choose.choice([0, 0.001, 0.01, 0.03]))
                    continue
                reply = await client.exchange(data)
                if reply.status == 200:
                    whole[name] = tokens
        except (OSError, ValueError):
            continue  # the worker was killed under it


async def run(folder: Path, count: int, kills: int) -> tuple[Judge, dict[str, int]]:
    """Have `count` requests made, kill workers meanwhile, and stop; return the judge and whole answers' tokens."""
    file, whole = folder / "gateway.yaml", dict[str, int]()
    left = [f"asked-{number}" for number in range(count)]
    names = (left.pop() for _ in range(count))
    async with Judge() as judge:
        file.write_text(
            CONFIG.format(judge=judge.url, directory=folder / "ledger", counters=folder / "counters")
        )
        with GatewayProcess("-c", file, "--workers", "2") as gateway:
            async with asyncio.TaskGroup() as group:
                for seed in range(CALLERS):
                    group.create_task(ask(gateway.url, names, seed, whole))
                for round_ in range(1, kills + 1):
                    while len(left) > count - count * round_ // (kills + 1):
                        await asyncio.sleep(0.01)
                    os.kill(random.Random(round_).choice(gateway.workers()), signal.SIGKILL)
            await taken_over(folder / "ledger", alive=2)
            gateway.signal(signal.SIGTERM)
            await gateway.exited()
    return judge, whole


async def taken_over(directory: Path, alive: int) -> None:
    """Wait until no journal is left but those of the workers that live."""
    async with asyncio.timeout(20):
        while len(list(directory.glob("*.lock"))) > alive:
            await asyncio.sleep(0.05)


def rows(directory: Path) -> list[dict[str, Any]]:
    """Read the database as it is."""
    database = apsw.Connection(str(directory / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    cursor = database.execute("SELECT * FROM attempts")
    names = [column[0] for column in cursor.get_description()]
    found = [dict(zip(names, values, strict=True)) for values in cursor]
    database.close()
    return found


async def standing(folder: Path) -> tuple[dict[str, int], int]:
    """Return what each limit has counted, and how many reservations are neither settled nor ended."""
    plugin = configured_plugins(folder / "gateway.yaml", QuotaPlugin)["quota"]
    rules = Book("quota", plugin.config.limits).rules("default", (AccountScope("tenant", "default"),))
    listed = (*rules.early, *rules.late)
    wants = tuple(reserving.Want(rule.limit, 0, "shadow") for rule in listed)
    claim = reserving.Claim(b"looking", rules.tag, wants)
    directory = folder / "counters" / "reservations"
    kept = LmdbReservations(directory, 64 << 20)
    verdict = await kept.reserve(claim)
    await kept.settle(claim, [0] * len(wants))
    kept.close()
    counted = {
        rule.config.name: rule.config.whole - each.left
        for rule, each in zip(listed, verdict.standings, strict=True)
    }
    with lmdb.open(str(directory), max_dbs=1, readonly=True) as files:
        table = files.open_db(b"limits", create=False)
        with files.begin(table) as reading, reading.cursor() as cursor:
            held = sum(bytes(key[:1]) == b"h" for key in cursor.iternext(values=False))
    return counted, held


async def given_back(folder: Path, *, within: float) -> dict[str, int]:
    """Wait until nothing is held of any limit; return what each has counted."""
    async with asyncio.timeout(within):
        while True:
            counted, held = await standing(folder)
            if not held:
                return counted
            await asyncio.sleep(0.2)


async def compare(folder: Path, count: int, kills: int) -> None:
    """Compare the ledger with the judge's count."""
    started = time.monotonic()
    judge, whole = await run(folder, count, kills)
    found = rows(folder / "ledger")
    sent = Counter(row["exchange"] for row in found if row["state"] != "free")
    exact = {row["exchange"]: row for row in found if row["state"] == "exact"}
    states = Counter(row["state"] for row in found)
    print(f"{count} requests, {time.monotonic() - started:.1f} s: {dict(states)}")

    missing = {
        name: len(served) - sent[name] for name, served in judge.served.items() if len(served) > sent[name]
    }
    assert missing == {}
    unseen = [row for row in found if row["state"] != "free" and row["exchange"] not in judge.served]
    assert [row for row in unseen if row["result"] not in ("client_gone", "given_up", "lost")] == []
    # A row is written before the last byte of an answer leaves: a worker's death takes none of these.
    assert {name: exact[name]["output"] for name in whole if name in exact} == whole
    assert all(row["cost"] == row["input"] + 10 * row["output"] for row in exact.values())
    assert all(row["input"] == 7 for row in exact.values())
    complete = {name for name, served in judge.served.items() if served[0].complete}
    assert exact.keys() <= complete
    assert [*(folder / "ledger").glob("*.lock"), *(folder / "ledger").glob("*.journal")] == []
    check_bounds(found)
    check_limits(await given_back(folder, within=60), found, kills)
    said = CliRunner().invoke(main, ["usage", "audit", "--directory", str(folder / "ledger")])
    assert (said.exit_code, " 0 faults" in said.output) == (0, True), said.output


def check_bounds(found: list[dict[str, Any]]) -> None:
    """Check that what is not exact costs something, and no more than was taken for it before it was sent."""
    for row in found:
        if row["state"] in ("estimated", "unknown", "partial"):
            assert 0 < row["cost"] <= row["reserved"], row
            assert row["output"] <= LONGEST, row


def check_limits(counted: dict[str, int], found: list[dict[str, Any]], kills: int) -> None:
    """Check what the limits have counted against the rows: a call that is not exact has kept all that it took."""
    exact = [row for row in found if row["state"] == "exact"]
    kept = [row for row in found if row["state"] not in ("exact", "free")]
    money = sum(row["cost"] for row in exact) + sum(row["reserved"] for row in kept)
    largest = max(row["reserved"] for row in found)
    print(f"limits {counted}; rows {len(exact)} exact, {len(kept)} not, {money} microdollars")

    # A worker dies between two steps of each of its calls at most: it has then taken what has no row, or not settled.
    assert counted["at-once"] == 0
    assert money <= counted["budget"] <= money + kills * CALLERS * largest
    assert counted["words"] >= sum(row["input"] + row["output"] for row in exact)
    assert kills or counted["budget"] == money


async def test_every_request_that_the_judge_saw_has_its_row(tmp_path: Path) -> None:
    await compare(tmp_path, 700, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_request_of_fifty_thousand_has_its_row(tmp_path: Path) -> None:
    await compare(tmp_path, 50_000, kills=10)
