"""The command line's frame: exit codes, one-line errors, commands that plugins bring."""

from __future__ import annotations

import ast
import enum
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from llmproxy.errors import ConfigError, StartError
from llmproxy.installed import COMMAND_GROUP, available


class ExitCode(enum.IntEnum):
    """What a command's exit status means; the larger ones are those of sysexits.h."""

    OK = 0
    FAILED_UNEXPECTEDLY = 1
    WRONG_USAGE = 2
    GATEWAY_NOT_REACHED = 69
    CONFIGURATION_OR_ADDRESS_REFUSED = 78
    STOPPED_BY_A_SECOND_SIGINT = 130
    STOPPED_BY_A_SECOND_SIGTERM = 143


class Refusal(click.ClickException):
    """An error told in one line each, without a traceback."""

    def __init__(self, message: str, code: ExitCode = ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED) -> None:
        super().__init__(message)
        self._code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click reads it only
        """The exit status."""
        return self._code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error on standard error."""
        for line in self.message.splitlines():
            click.echo(f"llmproxy: {line}", file=file or sys.stderr)


class CommandGroup(click.Group):
    """The core's commands, and those that installed plugins bring, imported when invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*self.commands, *available(COMMAND_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of the core, or a stand-in for a plugin's; the core's win."""
        command = super().get_command(ctx, cmd_name)
        if command is None and (point := available(COMMAND_GROUP).get(cmd_name)) is not None:
            return _Deferred(point)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn whatever it raises into lines a person can act on."""
        return _told(lambda: super(CommandGroup, self).invoke(ctx))


def _told(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as fault:
        _tell(fault)


def _tell(fault: Exception) -> NoReturn:
    if os.environ.get("LLMPROXY_DEBUG") == "1":
        raise fault
    if isinstance(fault, StartError | ConfigError):
        raise Refusal(str(fault)) from fault
    # Its text may hold anything, a credential too.
    message = f"unexpected {type(fault).__name__}; set LLMPROXY_DEBUG=1 to see where it comes from"
    raise Refusal(message, ExitCode.FAILED_UNEXPECTEDLY) from fault


class _Deferred(click.Command):
    """A plugin's command that is listed without being imported."""

    def __init__(self, point: importlib.metadata.EntryPoint) -> None:
        package = point.module.partition(".")[0]
        super().__init__(point.name, short_help=f"A command of the plugin package {package}.")
        self._point = point

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the line that lists it: what its function's docstring begins with, read from the source."""
        told = docstring_of(self._point)
        if not told:
            return super().get_short_help_str(limit)
        return click.Command(self.name, help=told).get_short_help_str(limit)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Import the command; from here on it is itself."""
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> click.Command:
        try:
            command = self._point.load()
        except (ImportError, AttributeError) as fault:
            raise Refusal(
                f"command {self.name!r} of {self._point.value!r} cannot be imported: {fault}"
            ) from fault
        if not isinstance(command, click.Command):
            raise Refusal(f"command {self.name!r}: {self._point.value!r} is not a click command")
        return command


def docstring_of(point: importlib.metadata.EntryPoint) -> str:
    """Return the docstring of the function that an entry point names, without importing it; "" where none is found."""
    package, _, rest = point.module.partition(".")
    try:
        spec = importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec is not None and rest else []
        origin = spec.origin if spec is not None and not rest else None
        files = [Path(place, *rest.split(".")).with_suffix(".py") for place in places]
        files += [] if origin is None else [Path(origin)]
        tree = ast.parse(files[0].read_text(encoding="utf-8"))
    except (ImportError, IndexError, OSError, ValueError, SyntaxError):
        return ""
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == point.attr)
    return next((ast.get_docstring(node) or "" for node in found), "")
