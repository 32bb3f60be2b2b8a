"""Fill the generated blocks of README.md from the code they describe.

usage: docs.py --check | --write
A block stands between `<!-- begin:NAME -->` and `<!-- end:NAME -->`. NAME is `hooks`, `cli`, `exit-codes` or
`providers`.
"""

from __future__ import annotations

import difflib
import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from llmproxy import cli
from llmproxy.hooks import Hooks
from llmproxy.providers.table import Provider, providers

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- begin:([a-z-]+) -->\n).*?(<!-- end:\2 -->)", re.DOTALL)
LABEL = re.compile(r"^(Called|Return|Order|Failure|Since): ", re.MULTILINE)


def hook_table() -> str:
    rows = [_hook_row(name, hook) for name, hook in vars(Hooks).items() if _is_hook(name, hook)]
    return "\n".join(["| hook | does | called | returns | on failure |", "|---|---|---|---|---|", *rows])


def _is_hook(name: str, thing: object) -> bool:
    return inspect.isfunction(thing) and not name.startswith("_")


def _hook_row(name: str, hook: object) -> str:
    text = inspect.getdoc(hook) or ""
    summary, *labelled = LABEL.split(text)
    parts = dict(zip(labelled[::2], labelled[1::2], strict=True))
    cells = [f"`{name}`", summary, parts["Called"], parts["Return"], parts["Failure"]]
    return f"| {' | '.join(_one_line(cell) for cell in cells)} |"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def cli_help() -> str:
    return "\n\n".join(f"```text\n{text}\n```" for text in _helps(cli.main, "llmproxy"))


def _helps(command: click.Command, name: str) -> Iterator[str]:
    """Yield a command's help and that of its core commands; a plugin's commands differ by installation."""
    shown = command
    if isinstance(command, click.Group):
        shown = click.Group(commands=dict(command.commands), help=command.help, params=command.params)
    settings = {"terminal_width": 100, "max_content_width": 100, **cli.main.context_settings}
    with click.Context(shown, info_name=name, **settings) as context:
        yield shown.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from _helps(command.commands[child], f"{name} {child}")


def exit_codes() -> str:
    rows = [f"| {code.value} | {_meaning(code)} |" for code in cli.ExitCode]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def _meaning(code: enum.Enum) -> str:
    return _one_line(code.name.replace("_", " ").lower())


def provider_table() -> str:
    rows = [_provider_row(row) for row in providers()]
    return "\n".join(["| provider | name | key variable | speaks |", "|---|---|---|---|", *rows])


def _provider_row(row: Provider) -> str:
    names = ", ".join(f"`{name}`" for name in (row.name, *row.names))
    keys = ", ".join(f"`{key}`" for key in row.keys)
    speaks = ", ".join((row.dialect, *row.also))
    return f"| [{row.title}]({row.docs}) | {names} | {keys if row.key == 'needed' else 'none needed'} | {speaks} |"


GENERATORS: dict[str, Callable[[], str]] = {
    "hooks": hook_table,
    "cli": cli_help,
    "exit-codes": exit_codes,
    "providers": provider_table,
}


def fill(text: str) -> str:
    return BLOCK.sub(lambda block: f"{block[1]}{GENERATORS[block[2]]()}\n{block[3]}", text)


def main(mode: str) -> int:
    now = README.read_text()
    right = fill(now)
    if mode == "--write":
        README.write_text(right)
    elif now != right:
        difference = difflib.unified_diff(
            now.splitlines(), right.splitlines(), "README.md", "generated", lineterm=""
        )
        print(*difference, "README.md is out of date: run .ci/docs.py --write", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["--check"], ["--write"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
