"""The ledger of several gateways in one Postgres that goes away under load: answers go on, every row is there once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner
from tests.postgresserver import PASSWORD, PostgresServer

from llmproxy.cli import main
from llmproxy.testing import Judge, RawClient

from .load import Tally, load
from .partition import Network
from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{fast: {{upstream: judge, model: judged}}}}
prices: {{"judge/judged": {{input: 1, output: 10}}}}
plugins:
  access: {{mode: open}}
  metrics: {{}}
  ledger:
    {{directory: "{directory}", post_every: 50ms, database: {{url: "${{env:DATABASE}}", instance: {name}}}}}
pipeline: [access, ledger]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
TOKEN = "the-admin-token-of-this-test"
#: Requests that are answered while the database is in one way away.
MEANWHILE = 80
CALLERS = 6


class Fleet:
    """Two gateways on what may as well be two machines: journals of their own, one database."""

    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        self._folder = folder
        self.postgres = postgres
        self.network = Network(postgres.port)
        self.judge = Judge()
        self.gateways: list[GatewayProcess] = []
        self.tallies: list[Tally] = []

    @property
    def url(self) -> str:
        """Where the gateways think that the database is."""
        return f"postgres://gateway:{PASSWORD}@127.0.0.1:{self.network.port}/postgres"

    @property
    def answered(self) -> int:
        return sum(tally.answered for tally in self.tallies)

    @property
    def journals(self) -> list[Path]:
        return [*self._folder.glob("*/*.journal"), *self._folder.glob("*/*.lock")]

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Serve, and be asked; all is written when it ends."""
        async with AsyncExitStack() as stack:
            for each in (self.network, self.judge):
                await stack.enter_async_context(each)
            for name, workers in (("one", "2"), ("two", "1")):
                file = self._folder / f"{name}.yaml"
                directory = self._folder / name
                file.write_text(CONFIG.format(judge=self.judge.url, directory=directory, name=name))
                gateway = GatewayProcess(
                    *("-c", file, "--workers", workers),
                    environ={"ADMIN_TOKEN": TOKEN, "DATABASE": self.url},
                )
                self.gateways.append(stack.enter_context(gateway))
            async with AsyncExitStack() as loads:
                for gateway in self.gateways:
                    asked = load(gateway.url, callers=CALLERS, patience=10.0)
                    self.tallies.append(await loads.enter_async_context(asked))
                yield
            for gateway in self.gateways:
                gateway.signal(signal.SIGTERM)
            for gateway in self.gateways:
                await gateway.exited()

    async def answers(self, count: int = MEANWHILE) -> None:
        """Wait until so many more requests are answered."""
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted)

    async def metric(self, name: str) -> float:
        """Return the sum of a metric of all gateways."""
        found = 0.0
        for gateway in self.gateways:
            head = f"GET /metrics HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            async with RawClient(gateway.admin_url) as client:
                text = (await client.exchange(head.encode())).body.decode()
            lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
            found += sum(float(line.rpartition(" ")[2]) for line in lines)
        return found

    async def caught_up(self) -> None:
        """Wait until no gateway is cut off and next to nothing is left to be posted."""
        async with asyncio.timeout(30):
            while await self.metric("llmproxy_postgres_away") or self._oldest() > 2:
                await asyncio.sleep(0.1)

    def _oldest(self) -> float:
        """How long ago something was written to a journal that is not written to any more."""
        dead = [path.stat().st_mtime for path in self._folder.glob("*/*.journal")]
        return 0 if len(dead) <= 3 else time.time() - min(dead)

    async def rows(self) -> list[dict[str, Any]]:
        """Return what stands in the database."""
        connection = await asyncpg.connect(self.postgres.url())
        try:
            return [dict(row) for row in await connection.fetch("SELECT * FROM llmproxy_ledger.attempts")]
        finally:
            await connection.close()

    async def check(self, killed: int = 0) -> None:
        """Compare the database with the judge's own count; `killed` workers took answers with them."""
        rows = await self.rows()
        failed = [why for tally in self.tallies for why in tally.failed]
        states = Counter(row["state"] for row in rows)
        print(f"{self.judge.totals.requests} requests, {self.answered} answered, rows {dict(states)}")

        assert len(failed) <= killed * CALLERS
        assert len(rows) == len({row["id"] for row in rows})
        # Of a worker that was killed a call may be written down that had not left yet.
        unseen = sum(row["result"] == "lost" for row in rows) if killed else 0
        assert 0 <= len(rows) - self.judge.totals.requests <= unseen
        assert killed or {row["state"] for row in rows} == {"exact"}
        assert {row["instance"] for row in rows} == {"one", "two"}
        assert self.journals == []
        audit = await asyncio.to_thread(
            CliRunner().invoke, main, ["usage", "audit", "--database", self.postgres.url()]
        )
        assert (audit.exit_code, "0 faults" in audit.output) == (0, True), audit.output


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_postgres_that_comes_late_is_killed_and_hangs_loses_no_row_and_doubles_none(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    own_postgres.stop()
    fleet = Fleet(tmp_path, own_postgres)
    async with fleet.under_load():
        await fleet.answers()
        own_postgres.start()
        await fleet.answers()
        own_postgres.kill()
        async with asyncio.timeout(20):
            while await fleet.metric("llmproxy_postgres_away") < 2:  # of each gateway the greatest
                await asyncio.sleep(0.05)
        await fleet.answers()
        unposted = await fleet.metric("llmproxy_ledger_unposted_rows")
        own_postgres.start()
        await fleet.answers()
        own_postgres.hang()
        await fleet.answers()
        own_postgres.resume()
        await fleet.caught_up()
    await fleet.check()

    assert unposted > MEANWHILE / 2


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_whatever_becomes_of_the_postgres_and_of_workers_every_row_is_there_once(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    fleet = Fleet(tmp_path, own_postgres)
    async with fleet.under_load():
        for round_ in range(8):
            await fleet.answers()
            own_postgres.kill()
            await fleet.answers(MEANWHILE * (1 + round_ % 3))
            if round_ % 2:
                os.kill(fleet.gateways[0].workers()[0], signal.SIGKILL)
            own_postgres.start()
            await fleet.answers()
            own_postgres.hang()
            await fleet.answers(600 if round_ == 3 else MEANWHILE)
            own_postgres.resume()
            await fleet.answers()
            own_postgres.stop()
            await fleet.answers()
            own_postgres.start()
            for state in ("silent", "refusing", "half_open"):
                await fleet.network.become(state)  # type: ignore[arg-type]
                await fleet.answers()
                await fleet.network.become("well")
                await fleet.answers()
        await fleet.caught_up()
    await fleet.check(killed=4)
