"""Several workers under load: reloads, rolls, kills, drains and restarts lose nobody but those inside a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.testing import Judge, RawClient

from .load import chat, load, owner
from .process import GatewayProcess, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: {listen}
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
log: {{level: info, format: json}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{fast: {{upstream: judge, model: {model}}}}}
plugins: {{access: {{mode: open}}, metrics: {{}}}}
pipeline: [metrics, access]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
ENVIRON = {"ADMIN_TOKEN": "the-admin-token-of-this-test"}
BAD = "routes: [{name: models, match: {path: '/v1/*'}, upstream: juge}]\n"


class Site:
    """A judge, and the configuration file of the gateway before it."""

    def __init__(self, judge: Judge, file: Path, listen: str) -> None:
        self.judge = judge
        self.file = file
        self._listen = listen
        self.write("first")

    def write(self, model: str) -> None:
        """Replace the file at once: callers' `fast` becomes `model`."""
        self.put(CONFIG.format(listen=self._listen, judge=self.judge.url, model=model))

    def put(self, text: str) -> None:
        """Replace the file at once by any text."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    def gateway(self, workers: int = 2, inherited: int | None = None) -> GatewayProcess:
        """Make the gateway that the file describes."""
        return GatewayProcess(
            "-c", self.file, "--workers", str(workers), environ=ENVIRON, inherited=inherited
        )


@asynccontextmanager
async def site(folder: Path, listen: str = "127.0.0.1:0") -> AsyncIterator[Site]:
    async with Judge() as judge:
        yield Site(judge, folder / "gateway.yaml", listen)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def run_reload(gateway: GatewayProcess) -> tuple[int, str]:
    """Run `llmproxy reload`; return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "llmproxy",
            "reload",
            "--admin",
            gateway.admin_url,
            "--token-env",
            "ADMIN_TOKEN",
        ),
        env={**clean_environ(), **ENVIRON},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def reload_somehow(here: Site, gateway: GatewayProcess, number: int) -> None:
    """Change the file, and have it read by one of the three ways."""
    done = gateway.count('"reload_done"')
    here.write(f"model-{number}")
    match number % 3:
        case 0:
            gateway.signal(signal.SIGHUP)
            await gateway.said('"reload_done"', done + 1)
        case 1:
            code, said = await run_reload(gateway)
            assert (code, said.startswith("reloaded: generation")) == (0, True), said
        case _:
            await gateway.said('"reload_done"', done + 1)  # it watches its file


async def refuse_a_bad_file(here: Site, gateway: GatewayProcess, number: int) -> None:
    """Offer a file with a mistake: its reason is told, and what serves goes on."""
    good = here.file.read_text()
    here.put(BAD)
    if number % 2:
        code, said = await run_reload(gateway)
        assert code == 78
    else:
        refused = gateway.count('"reload_refused"')
        gateway.signal(signal.SIGHUP)
        await gateway.said('"reload_refused"', refused + 1)
        said = next(line for line in reversed(gateway.lines) if '"reload_refused"' in line)
    assert "routes[0].upstream" in said
    assert "juge" in said
    here.put(good)


async def roll(gateway: GatewayProcess) -> None:
    """Replace every worker while the others serve."""
    before = set(gateway.workers())
    done = gateway.count('"roll_done"')
    gateway.signal(signal.SIGUSR2)
    await gateway.said('"roll_done"', done + 1)
    while before & set(gateway.workers()):  # the old ones drain
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("requests", "reloads", "rolls"),
    [
        pytest.param(1_000, 3, 1, id="small"),
        pytest.param(
            50_000, 20, 10, id="large", marks=[pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]
        ),
    ],
)
async def test_no_request_fails_while_it_reloads_and_its_workers_roll(
    here: Site, requests: int, reloads: int, rolls: int
) -> None:
    with here.gateway() as gateway:
        async with load(gateway.url) as tally:
            for number in range(max(reloads, rolls)):
                if number < reloads:
                    await reload_somehow(here, gateway, number)
                if number < rolls:
                    await roll(gateway)
                if number % 10 == 0:
                    await refuse_a_bad_file(here, gateway, number // 10)
            last = f"model-{reloads - 1}"  # a fast machine is through with its requests before the last reload is asked
            while tally.answered + len(tally.failed) < requests or last not in tally.models:
                await asyncio.sleep(0.1)
        gateway.signal(signal.SIGTERM)

        assert await gateway.exited() == 0

    print(f"{tally.answered} requests on {tally.connections} connections, {reloads} reloads, {rolls} rolls")
    assert tally.failed == []
    assert tally.answered >= requests
    assert {f"model-{number}" for number in range(reloads)} <= tally.models
    assert here.judge.totals.abandoned == 0
    assert here.judge.totals.broken == 0


class OpenStreams:
    """Streams that are under way, each on its own connection."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._clients: dict[int, RawClient] = {}

    async def open(self, stack: AsyncExitStack, count: int, judge: str) -> None:
        """Open streams and read the first event of each."""
        for _ in range(count):
            client = await stack.enter_async_context(RawClient(self._gateway.url, timeout=20))
            await client.send(chat(stream=True, judge=judge))
            self._clients[client.port] = client
        for client in self._clients.values():
            head = await client.read_until(b"\r\n\r\n")
            assert b" 200 " in head.split(b"\r\n")[0]
            assert b"t0" in await client.read_until(b"\n\n")

    def owners(self) -> dict[int, int | None]:
        """Say which worker each stream is in."""
        port = int(self._gateway.url.rpartition(":")[2])
        return {each: owner(port, each, self._gateway.workers()) for each in self._clients}

    async def whole(self) -> dict[int, bool]:
        """Read each to its end, and say whether it came whole."""
        return {port: await self._ends_whole(client) for port, client in self._clients.items()}

    async def _ends_whole(self, client: RawClient) -> bool:
        try:
            rest = await client.read_until(b"0\r\n\r\n")
        except (OSError, EOFError):
            return False
        return b"data: [DONE]" in rest


async def test_sigterm_ends_every_open_stream_whole(here: Site) -> None:
    with here.gateway() as gateway:
        async with AsyncExitStack() as stack:
            streams = OpenStreams(gateway)
            await streams.open(stack, 24, "events=20; delay=0.1")
            owners = streams.owners()
            gateway.signal(signal.SIGTERM)
            whole = await streams.whole()

        assert await gateway.exited() == 0

    assert None not in owners.values()
    assert len(set(owners.values())) == 2
    assert all(whole.values())
    assert here.judge.totals.abandoned == 0


async def test_a_killed_worker_costs_what_was_inside_it_and_is_replaced(here: Site) -> None:
    with here.gateway() as gateway:
        before = gateway.workers()
        async with AsyncExitStack() as stack:
            streams = OpenStreams(gateway)
            await streams.open(stack, 24, "events=20; delay=0.1")
            owners = streams.owners()
            os.kill(before[0], signal.SIGKILL)
            # Those that come now wait in the dead worker's queue for its successor.
            answers = await ask_at_once(gateway.url, 24)
            whole = await streams.whole()
        await gateway.said('"worker_died"')
        after = gateway.workers()

    assert {port for port, process in owners.items() if process == before[0]} == {
        port for port, complete in whole.items() if not complete
    }
    assert set(owners.values()) == set(before)
    assert answers == [200] * 24
    assert before[0] not in after
    assert before[1] in after
    assert len(after) == 2


async def ask_at_once(url: str, count: int) -> list[int]:
    """Ask on new connections, all at the same time."""

    async def ask() -> int:
        async with RawClient(url, timeout=20) as client:
            return (await client.exchange(chat())).status

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask()) for _ in range(count)]
    return [task.result() for task in tasks]


Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(gateway: GatewayProcess) -> Values:
    """Read every value that only ever grows."""
    async with RawClient(gateway.admin_url, timeout=20) as client:
        reply = await client.exchange(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
    assert reply.status == 200, reply.body
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        if family.type in {"counter", "histogram"}
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


async def scrape_all(gateway: GatewayProcess, asked: int) -> Values:
    """Scrape once so many requests are counted, which is a moment after they are answered."""
    async with asyncio.timeout(5):
        while asked_in_all(values := await scrape(gateway)) < asked:
            await asyncio.sleep(0.01)
    return values


def asked_in_all(values: Values) -> float:
    return sum(value for (name, _), value in values.items() if name == "llmproxy_requests_total")


async def test_metrics_are_summed_over_the_workers_and_never_go_backwards(here: Site) -> None:
    with here.gateway() as gateway:
        await ask_at_once(gateway.url, 40)
        seen = [await scrape_all(gateway, 40)]
        for round_ in range(2):
            os.kill(gateway.workers()[0], signal.SIGKILL)
            seen += [await scrape(gateway) for _ in range(5)]
            await ask_at_once(gateway.url, 10)
            await gateway.said('"worker_died"', round_ + 1)
            seen.append(await scrape_all(gateway, 50 + 10 * round_))
        await roll(gateway)
        seen.append(await scrape(gateway))

    assert asked_in_all(seen[-1]) == 60
    for earlier, later in pairwise(seen):
        assert {key: value for key, value in earlier.items() if later.get(key, -1) < value} == {}


async def test_a_socket_of_systemd_keeps_its_queue_over_a_whole_restart(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=512)) as held, ExitStack() as gateways:
        async with site(tmp_path, f"127.0.0.1:{held.getsockname()[1]}") as here:
            first = here.gateway(inherited=held.fileno())
            await asyncio.to_thread(gateways.enter_context, first)
            async with load(first.url) as tally:
                await asyncio.sleep(0.5)
                first.signal(signal.SIGTERM)
                assert await first.exited() == 0
                asked = tally.answered
                await asyncio.sleep(0.2)  # nobody serves: callers wait in the queue
                await asyncio.to_thread(gateways.enter_context, here.gateway(inherited=held.fileno()))
                while tally.answered < asked + 100 and not tally.failed:
                    await asyncio.sleep(0.05)

    assert tally.failed == []
    assert here.judge.totals.abandoned == 0
