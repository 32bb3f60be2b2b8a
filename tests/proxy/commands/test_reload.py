"""`llmproxy reload`, against a gateway and against none."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmproxy.addresses import Address
from llmproxy.cli import main
from llmproxy.commands.reload import Admin
from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
TREE: dict[str, Any] = {"admin": {"listen": "127.0.0.1:0", "token": "${env:TOKEN}"}, "routes": []}


def reload(*options: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["reload", *options], env={"TOKEN": TOKEN, **environ})


async def reload_beside(*options: str, **environ: str) -> Result:
    return await asyncio.to_thread(reload, *options, **environ)


def by_url(gateway: RunningGateway) -> list[str]:
    return ["--admin", gateway.admin_url, "--token-env", "TOKEN"]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_a_reload_says_the_new_generation() -> None:
    async with running_gateway(TREE, environ={"TOKEN": TOKEN}) as gateway:
        run = await reload_beside(*by_url(gateway))

    assert (run.stdout, run.exit_code) == ("reloaded: generation 2\n", 0), run.stderr


async def test_a_refused_reload_says_why() -> None:
    environ = {"TOKEN": TOKEN, "LEVEL": "info"}
    tree = {**TREE, "log": {"level": "${env:LEVEL}"}}
    async with running_gateway(tree, environ=environ) as gateway:
        environ["LEVEL"] = "loud"
        run = await reload_beside(*by_url(gateway))

    assert run.stderr.startswith("llmproxy: reload refused: log.level: ")
    assert run.exit_code == 78


async def test_the_file_says_where_to_ask(tmp_path: Path) -> None:
    async with running_gateway(TREE, environ={"TOKEN": TOKEN}) as gateway:
        address = gateway.admin_url.removeprefix("http://")
        path = tmp_path / "gateway.yaml"
        path.write_text(f"admin: {{listen: '{address}', token: '${{env:TOKEN}}'}}")
        run = await reload_beside("-c", str(path))

    assert run.stdout == "reloaded: generation 2\n", run.stderr


async def test_a_wrong_token_is_told_and_not_shown() -> None:
    async with running_gateway(TREE, environ={"TOKEN": TOKEN}) as gateway:
        run = await reload_beside(*by_url(gateway), TOKEN="fedcba9876543210")

    assert "This is not the admin token." in run.stderr
    assert "fedcba9876543210" not in run.output
    assert run.exit_code == 69


async def test_the_admin_listener_may_be_a_unix_socket(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/admin.sock"
    async with running_gateway(
        {**TREE, "admin": {"listen": where, "token": "${env:TOKEN}"}}, environ={"TOKEN": TOKEN}
    ):
        run = await reload_beside("--admin", where, "--token-env", "TOKEN")

    assert run.stdout == "reloaded: generation 2\n", run.stderr


def test_a_gateway_that_does_not_answer_is_told() -> None:
    run = reload("--admin", f"http://127.0.0.1:{closed_port()}")

    assert "no gateway answers at 127.0.0.1:" in run.stderr
    assert run.exit_code == 69


@pytest.mark.parametrize("options", [[], ["--admin", "http://127.0.0.1:1"]])
def test_the_pid_file_is_the_last_resort(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    (tmp_path / "pid").write_text("4242\n")
    run = reload(*options, "--pid-file", str(tmp_path / "pid"))

    assert sent == [(4242, signal.SIGHUP)]
    assert "SIGHUP sent to process 4242" in run.stdout


@pytest.mark.parametrize("text", ["", "x", None])
def test_a_useless_pid_file_is_told(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "pid").write_text(text)
    run = reload("--pid-file", str(tmp_path / "pid"))

    assert "pid file" in run.stderr
    assert run.exit_code == 69


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "name the gateway"),
        (["--admin", "127.0.0.1:9901"], "not a URL"),
        (
            ["--admin", "http://127.0.0.1:1", "--token-env", "NOT_SET_ANYWHERE"],
            "'NOT_SET_ANYWHERE' is not set",
        ),
    ],
)
def test_wrong_usage_is_told(options: list[str], reason: str) -> None:
    run = reload(*options)

    assert reason in run.stderr
    assert run.exit_code == 2


def test_a_file_without_a_token_cannot_be_asked_by(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("admin: {listen: '127.0.0.1:9901'}")
    run = reload("-c", str(path))

    assert "admin: the file gives no fixed address with a token" in run.stderr
    assert run.exit_code == 78


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Admin(Address("127.0.0.1", 1), TOKEN))
