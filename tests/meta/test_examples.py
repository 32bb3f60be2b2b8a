"""Every configuration that the project shows is one that the gateway takes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmproxy.cli import main

from .tree import ROOT

SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "examples.py"))
USES = {
    "api-gateway",
    "bench",
    "bench-cache",
    "demo",
    "discovery",
    "http-api",
    "httpcache",
    "kubernetes",
    "multi-tenant",
    "openai",
    "reload",
    "sidecar",
    "tls",
}


def test_there_is_an_example_for_each_use() -> None:
    assert {path.stem for path in SCRIPT["EXAMPLES"]} >= USES


@pytest.mark.parametrize("example", SCRIPT["EXAMPLES"], ids=lambda path: path.name)
def test_an_example_passes_check(example: Path, tmp_path: Path) -> None:
    environ = SCRIPT["environment"](example, tmp_path)

    run = CliRunner().invoke(main, ["check", str(example)], env=environ)

    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("example", SCRIPT["EXAMPLES"], ids=lambda path: path.name)
def test_an_example_holds_no_secret_but_by_reference(example: Path) -> None:
    lines = [line for line in example.read_text().splitlines() if "key: " in line and "/" not in line]

    assert [line for line in lines if "key: ${" not in line] == []


@pytest.mark.parametrize("example", SCRIPT["EXAMPLES"], ids=lambda path: path.name)
def test_the_readme_tells_what_an_example_is_for(example: Path) -> None:
    assert f"(deploy/examples/{example.name})" in (ROOT / "README.md").read_text()
