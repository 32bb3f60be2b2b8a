"""`llmproxy import`: another gateway's configuration, in this one's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.config import format_of, parse
from llmproxy.control import unreadable
from llmproxy.errors import StartError
from llmproxy.importing.litellm import Imported, NothingCarried, import_litellm
from llmproxy.importing.portkey import import_portkey
from llmproxy.importing.walking import Note

_HEAD: Final = "# Imported from {name}. What it could not carry was told when this was written.\n"


class _Dumper(yaml.SafeDumper):
    """Puts texts into quotes that configurations, YAML 1.2, would read as numbers, and PyYAML's 1.1 would not."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$|0o[0-7]+$"), list("-+0123456789")
)


def litellm(path: Path, output: Path | None) -> tuple[str, list[str]]:
    """Import a LiteLLM proxy's file; return what goes to standard output, and the report's lines.

    Raises:
        Refusal: the file cannot be read, holds nothing that can be carried, or `output` cannot be written.
    """
    return _imported(path, output, import_litellm)


def portkey(path: Path, output: Path | None) -> tuple[str, list[str]]:
    """Import a Portkey config likewise.

    Raises:
        Refusal: see `litellm`.
    """
    return _imported(path, output, import_portkey)


def _imported(
    path: Path, output: Path | None, read: Callable[[Mapping[str, Any]], Imported]
) -> tuple[str, list[str]]:
    try:
        tree = parse(path.read_bytes(), format_of(path.name), path.name)
    except OSError as fault:
        raise StartError(unreadable(fault)) from fault
    try:
        imported = read(tree)
    except RecursionError:
        raise Refusal(f"{path.name}: nested too deeply") from None
    except NothingCarried as fault:
        raise Refusal("\n".join([*_lines(path, fault.notes), f"{path.name}: {fault}"])) from None
    body = yaml.dump(imported.tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    text = _HEAD.format(name=_one_line(path.name)) + body
    lines = _lines(path, imported.notes)
    if output is None:
        return text.rstrip(), lines
    _write(output, text)
    return f"wrote {output}\nnext: llmproxy check {output}", lines


def _write(output: Path, text: str) -> None:
    """Write a new file; one that is there already is somebody's."""
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refusal(f"'{output}' is there already", ExitCode.WRONG_USAGE) from None
    except OSError as fault:
        raise Refusal(f"cannot write '{output}': {fault.strerror}", ExitCode.WRONG_USAGE) from None


def _lines(path: Path, notes: Iterable[Note]) -> list[str]:
    return [_one_line(f"{note.path or path.name}: {note.text}") for note in notes]


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
