import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

import llmproxy

TOY = str(Path(__file__).with_name("toy_gateway.py"))
# buffered, each line is one write: processes that share the output do not mix their lines
ENVIRON = {
    **os.environ,
    "PYTHONPATH": str(Path(llmproxy.__file__).parents[1]),
    "PYTHONUNBUFFERED": "",
}


@pytest.fixture
def tmp_path():
    """A folder whose name is short: the names of sockets below it may have 107 bytes (unix(7))."""
    with TemporaryDirectory(prefix="llmproxy") as folder:
        yield Path(folder)


class Gateway:
    """A toy gateway in a process of its own, and a client of it."""

    def __init__(self, directory, **options):
        self.config = directory / "config.json"
        self.options = {"config": str(self.config), "workers": 2, **options}
        self.lines = []
        self.port = 0

    async def start(self, *prefix, ready=None, **subprocess_options):
        command = [*prefix, sys.executable, TOY, msgspec.json.encode(self.options).decode()]
        options = {"env": ENVIRON, **subprocess_options}
        self.process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **options
        )
        self.reading = asyncio.get_running_loop().create_task(self._read())
        await self.until(lambda: len(self.ready) >= (self.options["workers"] if ready is None else ready))
        if self.ready:
            self.port = int(self.ready[0][2])
        return self

    async def _read(self):
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    @property
    def ready(self):
        """Slot, pid and port of each worker that ever got ready."""
        return [line.split()[1:] for line in self.lines if line.startswith("ready ")]

    @property
    def pids(self):
        """The pid that last got ready in each slot."""
        return {int(slot): int(pid) for slot, pid, _ in self.ready}

    async def until(self, condition):
        with suppress(TimeoutError):
            async with asyncio.timeout(15):
                while not condition() and self.process.returncode is None:
                    await asyncio.sleep(0.01)
        assert condition(), self.lines

    def write_config(self, **config):
        new = self.config.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(config))
        os.replace(new, self.config)

    async def say(self, words="who"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(words.encode() + b"\n")
            answer = await reader.read()
        finally:
            writer.close()
        if not answer.endswith(b"\n"):
            raise ConnectionResetError("cut")
        return answer.decode().strip()

    async def ask(self, words):
        return msgspec.json.decode(await self.say(words))

    async def greetings(self):
        """Slot -> generation and greeting, asking until every slot has answered."""
        found = {}
        while len(found) < self.options["workers"]:
            slot, _, generation, greeting = (await self.say()).split(maxsplit=3)
            found[int(slot)] = (int(generation), greeting)
        return found

    def send(self, number):
        self.process.send_signal(number)

    async def stop(self, number=signal.SIGTERM):
        self.send(number)
        return await self.ended()

    async def ended(self):
        # Longer than a supervisor waits for a worker that does not leave.
        async with asyncio.timeout(45):
            code = await self.process.wait()
            await self.reading
        return code


@pytest.fixture
async def gateway(tmp_path):
    """Start gateways; what still runs after the test is killed."""
    started = []

    async def start(*prefix, config=None, start=None, **options):
        one = Gateway(tmp_path, **options)
        started.append(one)
        if not one.config.exists() or config:
            one.write_config(**(config or {"greeting": "hello"}))
        return await one.start(*prefix, **(start or {}))

    yield start
    for one in started:
        for pid in one.pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if one.process.returncode is None:
            await one.stop(signal.SIGKILL)
        await one.reading


class Load:
    """Clients that connect anew for each question, one after the other, until told to stop."""

    def __init__(self, gateway, clients=8):
        self.gateway = gateway
        self.clients = clients
        self.answers = []
        self.faults = []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.running = True
        self.tasks = [loop.create_task(self._run()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, *exc):
        self.running = False
        await asyncio.wait(self.tasks)

    async def _run(self):
        while self.running:
            try:
                self.answers.append(await self.gateway.say())
            except OSError as fault:
                self.faults.append(type(fault).__name__)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.002)

    async def more(self, count=50):
        """Wait for `count` more answers."""
        goal = len(self.answers) + count
        while len(self.answers) < goal:
            await asyncio.sleep(0.005)


async def test_every_slot_serves_on_one_port(gateway):
    toy = await gateway(workers=3)

    assert await toy.greetings() == {0: (1, "hello"), 1: (1, "hello"), 2: (1, "hello")}
    assert await toy.stop() == 0


async def test_a_reload_swaps_every_worker_and_tells_the_asker_and_its_notes(gateway):
    toy = await gateway()
    toy.write_config(greeting="bonjour", notes=["listen: needs a restart"])
    result = await toy.ask("reload")

    assert (result["ok"], result["generation"], result["notes"]) == (True, 2, ["listen: needs a restart"])
    assert await toy.greetings() == {0: (2, "bonjour"), 1: (2, "bonjour")}


async def test_a_reload_that_one_worker_refuses_swaps_none_and_says_why(gateway):
    toy = await gateway(workers=3)
    toy.write_config(greeting="bonjour", refused_by=2)
    result = await toy.ask("reload")

    assert (result["ok"], result["reason"]) == (False, "slot 2 cannot serve 'bonjour'")
    assert await toy.greetings() == dict.fromkeys(range(3), (1, "hello"))


async def test_a_configuration_that_kills_a_worker_is_refused_and_the_worker_replaced(gateway):
    toy = await gateway()
    toy.write_config(greeting="bonjour", fatal_to=1)
    async with Load(toy) as load:
        toy.send(signal.SIGHUP)
        await toy.until(lambda: len(toy.ready) == 3)
        await load.more()

    assert any("worker 1 died while it built the new generation" in line for line in toy.lines)
    assert await toy.greetings() == {0: (1, "hello"), 1: (1, "hello")}


async def test_hangup_reloads_and_a_broken_file_is_refused_aloud(gateway):
    toy = await gateway()
    toy.config.write_text("{")
    toy.send(signal.SIGHUP)
    await toy.until(lambda: any("reload_refused" in line for line in toy.lines))
    toy.write_config(greeting="bonjour")
    toy.send(signal.SIGHUP)
    await toy.until(lambda: any("reload_done" in line for line in toy.lines))

    assert {greeting for _, greeting in (await toy.greetings()).values()} == {"bonjour"}


async def test_a_changed_file_reloads_by_itself(gateway):
    toy = await gateway(watch=True)
    toy.write_config(greeting="bonjour")
    await toy.until(lambda: any("reload_done" in line for line in toy.lines))

    assert await toy.greetings() == {0: (2, "bonjour"), 1: (2, "bonjour")}


async def test_a_killed_worker_is_replaced_and_nobody_is_refused(gateway, tmp_path):
    deaths = tmp_path / "deaths"
    toy = await gateway(death_file=str(deaths))
    killed = toy.pids[1]
    async with Load(toy) as load:
        await load.more()
        os.kill(killed, signal.SIGKILL)
        await toy.until(lambda: len(toy.ready) == 3)
        await load.more()

    assert "ConnectionRefusedError" not in load.faults
    assert len(load.faults) <= load.clients  # what was inside the killed worker
    assert toy.pids[1] != killed
    assert deaths.read_text() == f"1 {killed}\n"
    while not (await toy.say()).startswith("0 "):
        pass
    assert killed in [pid for _ in range(20) for pid in await toy.ask("dead")]


async def test_a_replacement_starts_from_the_last_good_bytes(gateway):
    toy = await gateway()
    toy.write_config(greeting="bonjour")
    await toy.ask("reload")
    toy.config.write_text("{")
    os.kill(toy.pids[0], signal.SIGKILL)
    await toy.until(lambda: len(toy.ready) == 3)

    assert await toy.greetings() == {0: (2, "bonjour"), 1: (2, "bonjour")}


async def test_a_roll_replaces_every_worker_and_nobody_notices(gateway):
    toy = await gateway()
    before = set(toy.pids.values())
    async with Load(toy) as load:
        await load.more()
        result = await toy.ask("roll")
        toy.send(signal.SIGUSR2)
        await toy.until(lambda: len(toy.ready) == 6)
        await load.more()

    assert result["ok"]
    assert load.faults == []
    assert before.isdisjoint(toy.pids.values())
    assert await toy.stop() == 0


async def test_a_roll_waits_for_what_is_under_way_in_the_old_workers(gateway):
    toy = await gateway()
    async with asyncio.TaskGroup() as group:
        slow = [group.create_task(toy.say("slow 0.5")) for _ in range(8)]
        await asyncio.sleep(0.1)
        group.create_task(toy.ask("roll"))

    assert {int(answer.result().split()[1]) for answer in slow} <= {int(pid) for _, pid, _ in toy.ready[:2]}


async def test_a_roll_whose_successor_cannot_start_leaves_the_old_workers(gateway, tmp_path):
    poison = tmp_path / "poison"
    toy = await gateway(config={"greeting": "hello", "poison": str(poison)})
    before = toy.pids
    poison.touch()
    result = await toy.ask("roll")
    poison.unlink()

    assert result["reason"] == "the successor of worker 0 did not start: poisoned"
    assert {int((await toy.say()).split()[1]) for _ in range(20)} == set(before.values())


async def test_a_worker_that_cannot_be_replaced_is_tried_again(gateway, tmp_path):
    poison = tmp_path / "poison"
    toy = await gateway(config={"greeting": "hello", "poison": str(poison)})
    poison.touch()
    os.kill(toy.pids[1], signal.SIGKILL)
    await toy.until(lambda: sum("poisoned" in line for line in toy.lines) >= 2)
    poison.unlink()
    await toy.until(lambda: len(toy.ready) == 3)

    assert set(await toy.greetings()) == {0, 1}


async def test_a_signal_to_one_worker_replaces_it_and_nobody_notices(gateway):
    toy = await gateway()
    leaving = toy.pids[0]
    async with Load(toy) as load:
        await load.more()
        os.kill(leaving, signal.SIGTERM)
        await toy.until(lambda: len(toy.ready) == 3)
        await load.more()

    assert load.faults == []
    assert toy.pids[0] != leaving


@pytest.mark.parametrize("workers", [1, 2])
async def test_stopping_ends_everything_under_way_whole_and_cuts_nobody(gateway, workers):
    toy = await gateway(workers=workers)
    async with Load(toy) as load:
        await load.more()
        slow = [asyncio.get_running_loop().create_task(toy.say("slow 0.6")) for _ in range(8)]
        await asyncio.sleep(0.1)
        toy.send(signal.SIGTERM)
        code = await toy.ended()
        await asyncio.sleep(0.05)

    assert code == 0
    assert [(await answer).endswith("hello") for answer in slow] == [True] * 8
    assert set(load.faults) == {"ConnectionRefusedError"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_stops_at_once(gateway, workers):
    toy = await gateway(workers=workers)
    slow = asyncio.get_running_loop().create_task(toy.say("slow 60"))
    await asyncio.sleep(0.1)
    toy.send(signal.SIGTERM)
    await asyncio.sleep(0.1)

    assert await toy.stop(signal.SIGTERM) == 143
    with pytest.raises(OSError, match=r"cut|reset"):
        await slow


async def test_a_worker_that_does_not_drain_is_killed_after_its_time(gateway):
    toy = await gateway(drain=0.2)
    os.kill(toy.pids[1], signal.SIGSTOP)

    assert await toy.stop() == 1
    assert any("worker 1 was not drained in time" in line for line in toy.lines)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_bad_configuration_ends_the_start_with_its_reason_once(gateway, workers):
    toy = await gateway(workers=workers, config={"greeting": 1}, start={"ready": 0})

    assert await toy.ended() == 78
    assert toy.lines == ["llmproxy: config: Expected `str`, got `int` - at `$.greeting`"]


async def test_a_worker_that_dies_before_it_is_ready_ends_the_start(gateway):
    toy = await gateway(config={"greeting": "hello", "fatal_to": 1}, start={"ready": 0})

    assert await toy.ended() == 3
    assert "llmproxy: worker 1 ended with exit code 3" in toy.lines


async def test_a_worker_that_dies_while_the_others_get_ready_ends_the_start_too(gateway):
    toy = await gateway(config={"greeting": "hello", "fatal_to": 1}, start={"ready": 0}, late=1.5)

    assert await toy.ended() == 3
    assert "llmproxy: worker 1 ended with exit code 3" in toy.lines


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"unix": "/nowhere/s.sock"}, "cannot listen on 'unix:/nowhere/s.sock': No such file or directory"),
        ({"pid_file": "/nowhere/pid"}, "cannot write the pid file '/nowhere/pid': No such file or directory"),
    ],
)
async def test_what_is_not_there_is_named(gateway, options, reason):
    toy = await gateway(start={"ready": 0}, **options)

    assert await toy.ended() == 78
    assert toy.lines == [f"llmproxy: {reason}"]


async def test_workers_that_lose_their_supervisor_finish_and_leave(gateway, tmp_path):
    toy = await gateway()
    slow = [asyncio.get_running_loop().create_task(toy.say("slow 0.4")) for _ in range(4)]
    await asyncio.sleep(0.1)
    toy.process.kill()
    answers = [await answer for answer in slow]
    assert await toy.ended() == -signal.SIGKILL

    assert len(answers) == 4
    with pytest.raises(ConnectionRefusedError):
        await toy.say()
    assert not list(tmp_path.glob("llmproxy-*/slot-*"))


async def test_nothing_is_left_behind(gateway, tmp_path):
    toy = await gateway(unix=str(tmp_path / "proxy.sock"), pid_file=str(tmp_path / "pid"))
    reader, writer = await asyncio.open_unix_connection(tmp_path / "proxy.sock")
    writer.write(b"who\n")
    answer = await reader.read()
    writer.close()
    running = sorted(path.name.partition("-")[0] for path in tmp_path.iterdir())
    written = int((tmp_path / "pid").read_text())
    mode = next(tmp_path.glob("llmproxy-*")).stat().st_mode & 0o777

    assert answer.endswith(b"hello\n")
    assert running == ["config.json", "llmproxy", "pid", "proxy.sock"]
    assert (written, mode) == (toy.process.pid, 0o700)
    assert await toy.stop() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


async def test_the_bus_joins_the_workers_and_a_stopped_one_is_told_as_missing(gateway):
    toy = await gateway(workers=3)
    stopped = toy.pids[2]
    os.kill(stopped, signal.SIGSTOP)
    while True:  # the kernel also gives connections to the stopped worker: ask until another one answers
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                answered, missing = await toy.ask("ask")
                break
    os.kill(stopped, signal.SIGCONT)

    assert set(answered) < {toy.pids[0], toy.pids[1]}
    assert len(answered) == 1
    assert missing == ["it did not answer within 0.5 s"]


async def test_what_one_worker_publishes_the_others_hear(gateway):
    toy = await gateway(workers=3)
    told_by = int((await toy.say("publish salut")).split()[0])
    heard = {}
    while heard.get((told_by + 1) % 3) != "salut" or heard.get((told_by + 2) % 3) != "salut":
        heard |= {slot: greeting for slot, (_, greeting) in (await toy.greetings()).items()}

    assert heard[told_by] == "hello"


async def test_a_successor_holds_the_socket_over_a_whole_restart(gateway):
    """As under a systemd socket unit: the test holds the socket, both gateways inherit it as descriptor 3."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as held:
        port = held.getsockname()[1]
        passed = {"pass_fds": [held.fileno()], "env": {**ENVIRON, "LISTEN_FDS": "1"}}
        exec_with_socket = ("bash", "-c", f'exec "$0" "$@" 3<&{held.fileno()}')
        first = await gateway(*exec_with_socket, port=port, inherited=True, start=passed)
        async with Load(first) as load:
            await load.more()
            code = await first.stop()
            await gateway(*exec_with_socket, port=port, inherited=True, start=passed)
            await load.more(200)

    assert code == 0
    assert load.faults == []


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-Urpf", "true"], check=False, capture_output=True).returncode != 0,
    reason="this host lets nobody make a process namespace",
)
@pytest.mark.parametrize("workers", [1, 2])
async def test_process_one_of_a_container_stops_when_told(gateway, workers):
    toy = await gateway("unshare", "-Urpf", "--mount-proc", workers=workers)
    children = Path(f"/proc/{toy.process.pid}/task/{toy.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)

    assert await toy.ended() == 0
