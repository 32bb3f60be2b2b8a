from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from llmproxy.commands.options import admin_options, config_option


@click.command()
@config_option("What it is for.")
@admin_options
def command(path: Path | None, admin: str | None, token_env: str | None) -> None:
    click.echo(f"{path} {admin} {token_env}")


def test_a_command_is_told_its_file_and_where_the_gateway_is() -> None:
    told = CliRunner().invoke(command, ["-c", "a.yaml", "--admin", "http://x", "--token-env", "T"])

    assert told.output == "a.yaml http://x T\n"
    assert CliRunner().invoke(command, []).output == "None None None\n"


def test_its_help_is_the_commands_own() -> None:
    assert "What it is for." in CliRunner().invoke(command, ["--help"]).output
