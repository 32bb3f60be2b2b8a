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
import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.testing import Judge, RawClient

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{fast: {{upstream: judge, model: judged}}}}
plugins:
  access: {{mode: open}}
  ledger: {{directory: "{directory}", post_every: 200ms, prices: {{"judge/judged": {{input: 1, output: 10}}}}}}
pipeline: [access, ledger]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
#: How one in three asks: it leaves after so many bytes of its answer.
LEAVING = 0.3


def request(name: str, choose: random.Random) -> tuple[bytes, int]:
    """Write a request for a whole answer or a stream, of random length and pace; tell its tokens of output too."""
    stream = choose.random() < 0.7
    body = orjson.dumps(
        {"model": "fast", "stream": stream, "max_tokens": 60, "messages": [{"role": "user", "content": "Hi"}]}
    )
    events, size = choose.randint(1, 40), choose.randint(1, 60)
    words = f"events={events}; size={size}; delay={choose.choice([0, 0, 0.002])}"
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
    names = iter([f"asked-{number}" for number in range(count)])
    async with Judge() as judge:
        file.write_text(CONFIG.format(judge=judge.url, directory=folder / "ledger"))
        with GatewayProcess("-c", file, "--workers", "2") as gateway:
            async with asyncio.TaskGroup() as group:
                for seed in range(24):
                    group.create_task(ask(gateway.url, names, seed, whole))
                for round_ in range(1, kills + 1):
                    while judge.totals.requests < count * round_ // (kills + 1):
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
    # Its row is written before the last byte of an answer leaves: a worker's death takes none of these.
    # A row is written before the last byte of an answer leaves: a worker's death takes none of these.
    assert {name: exact[name]["output"] for name in whole if name in exact} == whole
    assert all(row["cost"] == row["input"] + 10 * row["output"] for row in exact.values())
    assert all(row["input"] == 7 for row in exact.values())
    complete = {name for name, served in judge.served.items() if served[0].complete}
    assert exact.keys() <= complete
    assert all(row["cost"] > 0 for row in found if row["state"] in ("estimated", "unknown", "partial"))
    assert [*(folder / "ledger").glob("*.lock"), *(folder / "ledger").glob("*.journal")] == []


async def test_every_request_that_the_judge_saw_has_its_row(tmp_path: Path) -> None:
    await compare(tmp_path, 1200, kills=1)
    said = CliRunner().invoke(main, ["usage", "audit", "--directory", str(tmp_path / "ledger")])

    assert (said.exit_code, "0 faults" in said.output) == (0, True), said.output


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_request_of_fifty_thousand_has_its_row(tmp_path: Path) -> None:
    await compare(tmp_path, 50_000, kills=10)
