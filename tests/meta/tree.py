"""Where things stand in this repository, for the tests that check the repository itself."""

from __future__ import annotations

import ast
import tomllib
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORE = ROOT / "proxy" / "llmproxy"
PLUGINS = tuple(sorted(path for path in (ROOT / "plugins").glob("llmproxy_*") if path.is_dir()))
MODULES = tuple(sorted(path for root in (CORE, *PLUGINS) for path in root.rglob("*.py")))


@cache
def parsed(path: Path) -> ast.Module:
    return tree_of(path)


def tree_of(path: Path) -> ast.Module:
    text = path.read_text()
    try:
        return ast.parse(text, str(path))
    except SystemError:
        # CPython 3.11 counts the depth of the tree for all threads together: one of another test's may have parsed too.
        return ast.parse(text, str(path))


def named(path: Path) -> str:
    """A path as the repository's reader knows it, for test ids and messages."""
    return path.relative_to(ROOT).as_posix()


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def setup_cfg() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser
