"""The command line as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llmproxy import __version__
from llmproxy.cli import ExitCode, main

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "cache",
    "serve",
    "check",
    "schema",
    "explain",
    "plugins",
    "hooks",
    "new-plugin",
    "reload",
    "providers",
    "models",
    "import",
}


def test_it_has_the_agreed_commands() -> None:
    assert set(main.commands) == COMMANDS


@pytest.mark.parametrize("name", [*sorted(COMMANDS), "import litellm", "import portkey"])
def test_every_command_and_option_is_explained(name: str) -> None:
    command: click.Command = main
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]

    assert command.help
    assert [
        option.name for option in command.params if isinstance(option, click.Option) and not option.help
    ] == []


def test_help_imports_nothing_that_serves() -> None:
    code = (
        "import sys; from llmproxy.cli import main; main(['--help'], standalone_mode=False);"
        "print(*sys.modules)"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "proxy")}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )

    assert {"aiohttp", "asyncio", "yaml", "msgspec", "structlog"} & set(run.stdout.split()) == set()


def test_it_says_its_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"llmproxy {__version__}\n"


def test_a_mistyped_command_is_told_with_the_nearest() -> None:
    run = CliRunner().invoke(main, ["chek"])

    assert "'check'" in run.stderr
    assert run.exit_code == ExitCode.WRONG_USAGE


@pytest.mark.parametrize("address", ["8080", "localhost", "unix:x", "::1:80"])
def test_a_bad_address_is_wrong_usage(address: str) -> None:
    run = CliRunner().invoke(main, ["serve", "--listen", address])

    assert "is not an address" in run.stderr or "needs an absolute path" in run.stderr
    assert run.exit_code == ExitCode.WRONG_USAGE


@pytest.mark.parametrize("workers", ["0", "-1", "1000", "many"])
def test_a_bad_number_of_workers_is_wrong_usage(workers: str) -> None:
    assert CliRunner().invoke(main, ["serve", "--workers", workers]).exit_code == ExitCode.WRONG_USAGE
