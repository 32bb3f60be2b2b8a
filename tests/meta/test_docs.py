"""The generated parts of the README are what the generator makes of the code now."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from llmproxy.hooks import Hooks

from .tree import ROOT

SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "docs.py"))
README = (ROOT / "README.md").read_text()


def test_the_generated_blocks_are_current() -> None:
    assert SCRIPT["fill"](README) == README, "run .ci/docs.py --write"


@pytest.mark.parametrize("name", ["hooks", "cli", "exit-codes", "providers"])
def test_the_readme_has_every_generated_block(name: str) -> None:
    assert README.count(f"<!-- begin:{name} -->") == 1


def test_every_hook_has_its_row() -> None:
    table = SCRIPT["hook_table"]()
    hooks = [name for name in vars(Hooks) if not name.startswith("_")]

    assert [name for name in hooks if f"| `{name}` |" not in table] == []
