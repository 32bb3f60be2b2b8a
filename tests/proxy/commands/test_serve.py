"""`llmproxy serve`: what it says and does as a process."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.addresses import parse_address
from llmproxy.bindings import ADMIN
from llmproxy.cli import main as cli
from llmproxy.commands.serve import _first_to_ask, announcement
from llmproxy.config import Config, decode, default_config
from llmproxy.control import Worker
from llmproxy.sockets import Binding, Listener
from llmproxy.supervisor import Settings
from llmproxy.testing import RawClient

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join([str(ROOT / "proxy"), str(ROOT / "plugins")])
CONFIG = 'admin: {listen: "off"}\nlog: {level: error}\nroutes: []\n'


@asynccontextmanager
async def served(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `llmproxy serve`; yield the process and what it said once it listened."""
    environ = {**os.environ, "PYTHONPATH": PATH, "OPENAI_API_KEY": ""}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llmproxy", "serve", *options),
        cwd=ROOT,
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            said = b""
            while b"listens on" not in said and not process.stderr.at_eof():
                said += await process.stderr.readline()
            if b"admin on" in said:
                said += await process.stderr.readuntil(b"}'\n")
        yield process, said.decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def url_of(said: str) -> str:
    return said.split("listens on ")[1].split(maxsplit=1)[0].rstrip(";,")


async def test_without_a_file_the_command_it_prints_works() -> None:
    async with served("--listen", "127.0.0.1:0") as (process, said):
        command = shlex.split(said.splitlines()[-1])
        body = command[command.index("-d") + 1].encode()
        async with RawClient(url_of(said)) as client:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            reply = await client.exchange(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        process.terminate()
        code = await process.wait()

    assert command[:2] == ["curl", f"{url_of(said)}/v1/chat/completions"]
    assert reply.json()["choices"][0]["message"]["content"] == "Hello!"
    assert code == 0


async def test_two_workers_say_it_once(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    pid_file = tmp_path / "pid"
    options = ["-c", str(path), "--listen", "127.0.0.1:0", "--workers", "2", "--pid-file", str(pid_file)]
    async with served(*options) as (process, said):
        async with RawClient(url_of(said)) as client:
            reply = await client.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        pid = int(pid_file.read_text())
        process.terminate()
        _, rest = await process.communicate()

    assert reply.status == 404
    assert pid == process.pid
    assert (said + rest.decode()).count("listens on") == 1
    assert (process.returncode, pid_file.exists()) == (0, False)


async def test_a_listener_of_the_command_line_outlives_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    async with served("-c", str(path), "--listen", "127.0.0.1:0", "--no-watch") as (process, said):
        path.write_text(CONFIG + "listen: 127.0.0.1:1\n")
        process.send_signal(1)
        async with RawClient(url_of(said)) as client:
            reply = await client.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        alive = process.returncode is None

    assert reply.status == 404
    assert alive


@pytest.mark.parametrize("text", ["listn: 1\n", "plugins: {x: {use: nothing}}\n"])
async def test_a_bad_configuration_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG + text)
    async with served("-c", str(path), "--listen", "127.0.0.1:0") as (process, said):
        code = await process.wait()

    assert (code, len(said.splitlines())) == (78, 1)


async def test_a_taken_address_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with served("--listen", address) as (process, said):
            code = await process.wait()

    assert said == f"llmproxy: cannot listen on '{address}': Address already in use\n"
    assert code == 78


def test_the_options_reach_the_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG + "server: {drain_timeout: 7s}\n")
    seen: list[Settings] = []

    def run(settings: Settings, worker_main: Callable[[Worker], int]) -> int:
        seen.append(settings)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            listeners = (Listener(settings.listen[0], sock),)
            one = Worker(
                slot=0,
                slots=2,
                generation=1,
                data=settings.source.read(),
                listeners=listeners,
                bus_directory=None,
                drain_timeout=settings.drain_timeout,
                link=lambda controller: pytest.fail("nothing is linked"),
            )
            return worker_main(one) + worker_main(one)

    def main(one: Worker, read: Callable[[bytes], Config], announce: Callable[[], None]) -> int:
        announce()
        return len(read(one.data).listeners)

    monkeypatch.setattr("llmproxy.supervisor.run", run)
    monkeypatch.setattr("llmproxy.worker.main", main)
    monkeypatch.setattr("llmproxy.commands.serve.configure", lambda sink, settings: None)
    options = ["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2", "--workers", "2", "--no-watch"]
    told = CliRunner().invoke(cli, ["serve", "-c", str(path), *options, "--pid-file", str(tmp_path / "pid")])

    assert told.exit_code == 4, told.output
    assert told.stderr.count("listens on") == 1
    assert [binding.name for binding in seen[0].listen] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert (seen[0].workers, seen[0].drain_timeout, seen[0].pid_file) == (2, 7.0, tmp_path / "pid")
    assert seen[0].source.changed is None


def config(**tree: object) -> Config:
    return decode(tree, environ={}, read_file=str)


def listening(host: str, name: str, sock: socket.socket) -> Listener:
    return Listener(Binding(parse_address(host), name=name), sock)


def test_ports_are_told_as_the_system_gave_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as data, socket.create_server(("127.0.0.1", 0)) as admin:
        port, admin_port = data.getsockname()[1], admin.getsockname()[1]
        pair = [listening("127.0.0.1:0", "127.0.0.1:0", data), listening("127.0.0.1:0", ADMIN, admin)]
        said = announcement(pair, config(listen="127.0.0.1:0"), show_request=False)

    assert said == f"llmproxy listens on http://127.0.0.1:{port}; admin on http://127.0.0.1:{admin_port}\n"


def test_an_address_that_is_all_addresses_is_told_as_one_to_call() -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        where = f"0.0.0.0:{sock.getsockname()[1]}"
        tls = {"certificate": "c", "key": "k"}
        listen = config(listen={"address": where, "tls": tls})
        said = announcement([listening(where, where, sock)], listen, show_request=False)

    assert said == f"llmproxy listens on https://{where.replace('0.0.0.0', '127.0.0.1')}\n"


def test_a_unix_socket_is_asked_through_curls_option(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/x.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        said = announcement([listening(where, where, sock)], config(listen=where), show_request=True)
    command = shlex.split(said.splitlines()[-1])

    assert command[:4] == [
        "curl",
        "--unix-socket",
        f"{tmp_path}/x.sock",
        "http://localhost/v1/chat/completions",
    ]
    assert orjson.loads(command[-1])["model"] == "demo/echo"


def test_providers_whose_keys_were_found_are_told_without_the_keys() -> None:
    found = default_config({"GROQ_API_KEY": "sk-groq", "ANTHROPIC_API_KEY": "sk-ant"})
    with socket.create_server(("127.0.0.1", 0)) as sock:
        said = announcement([listening("127.0.0.1:8080", "127.0.0.1:8080", sock)], found, show_request=True)

    line = next(line for line in said.splitlines() if line.startswith("Keys found for "))
    assert {"groq", "anthropic"} <= set(line.removeprefix("Keys found for ").partition(":")[0].split(", "))
    assert "sk-" not in said


def test_only_the_first_to_ask_is_told_so() -> None:
    ask = _first_to_ask()

    assert [ask(), ask(), ask()] == [True, False, False]
