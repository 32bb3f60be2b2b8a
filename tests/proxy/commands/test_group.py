"""The command line's frame."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llmproxy.commands.group import CommandGroup, ExitCode, Refusal
from llmproxy.errors import ConfigError, ConfigErrors, StartError

GREET = """
import click

@click.command()
@click.argument("who")
def greet(who):
    '''Greet somebody.'''
    click.echo("hello, " + who)
"""


@pytest.fixture
def group() -> CommandGroup:
    return CommandGroup("llmproxy")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package that brings commands."""
    metadata = tmp_path / "greeting-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
    lines = ["greet = greeting_commands:greet", "lost = greeting_lost:it", "odd = greeting_commands:GREET"]
    (metadata / "entry_points.txt").write_text("\n".join(["[llmproxy.commands]", *lines]))
    (tmp_path / "greeting_commands.py").write_text(GREET + "GREET = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "greeting_commands", raising=False)
    return tmp_path


def raising(group: CommandGroup, fault: BaseException) -> CommandGroup:
    @group.command()
    def fail() -> None:
        raise fault

    return group


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        (StartError("plugin 'x': no"), ["llmproxy: plugin 'x': no"]),
        (ConfigError("a.b", "unknown", "c"), ["llmproxy: a.b: unknown; did you mean 'c'?"]),
        (
            ConfigErrors([ConfigError("a", "one"), ConfigError("b", "two")]),
            ["llmproxy: a: one", "llmproxy: b: two"],
        ),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told_in_a_line_each(
    group: CommandGroup, fault: Exception, lines: list[str]
) -> None:
    run = CliRunner().invoke(raising(group, fault), ["fail"])

    assert run.stderr.splitlines() == lines
    assert run.exit_code == ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED


def test_an_unexpected_fault_is_named_and_its_text_kept_back(group: CommandGroup) -> None:
    run = CliRunner().invoke(raising(group, ValueError("secret")), ["fail"])

    assert run.stderr.startswith("llmproxy: unexpected ValueError; set LLMPROXY_DEBUG=1")
    assert "secret" not in run.output
    assert run.exit_code == ExitCode.FAILED_UNEXPECTEDLY


def test_the_traceback_is_shown_on_request(group: CommandGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMPROXY_DEBUG", "1")
    fault = ValueError("why")
    run = CliRunner().invoke(raising(group, fault), ["fail"])

    assert run.exception is fault


def test_a_refusal_has_its_own_exit_status(group: CommandGroup) -> None:
    run = CliRunner().invoke(raising(group, Refusal("gone", ExitCode.GATEWAY_NOT_REACHED)), ["fail"])

    assert (run.stderr, run.exit_code) == ("llmproxy: gone\n", 69)


def test_a_plugins_command_is_listed_without_being_imported(group: CommandGroup, package: Path) -> None:
    run = CliRunner().invoke(group, ["--help"])

    assert re.search(r"^  greet +Greet somebody\.$", run.stdout, re.MULTILINE)
    assert "A command of the plugin package greeting_lost." in run.stdout
    assert "greeting_commands" not in sys.modules


def test_a_plugins_command_runs_as_itself(group: CommandGroup, package: Path) -> None:
    assert CliRunner().invoke(group, ["greet", "you"]).stdout == "hello, you\n"
    assert "Greet somebody." in CliRunner().invoke(group, ["greet", "--help"]).stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lost", "'greeting_lost:it' cannot be imported"),
        ("odd", "'greeting_commands:GREET' is not a click command"),
    ],
)
def test_a_broken_command_is_told_in_a_line(
    group: CommandGroup, package: Path, name: str, reason: str
) -> None:
    run = CliRunner().invoke(group, [name])

    assert reason in run.stderr
    assert run.exit_code == ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED


def test_a_command_of_the_core_wins(group: CommandGroup, package: Path) -> None:
    group.add_command(click.Command("greet", callback=lambda: click.echo("core")))

    assert CliRunner().invoke(group, ["greet"]).stdout == "core\n"


def test_every_exit_status_is_distinct() -> None:
    assert len({code.value for code in ExitCode}) == len(ExitCode.__members__)
