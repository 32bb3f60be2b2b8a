"""The fixtures work in somebody else's project, and cost a project that does not use them nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIXTURES = """
async def test_upstream(fake_upstream):
    fake_upstream.reply(json={})
    assert fake_upstream.url.startswith("http://127.0.0.1:")

async def test_gateway(start_gateway):
    first = await start_gateway({})
    second = await start_gateway("routes: []")
    assert first.url != second.url
"""
UNRELATED = """
import sys

def test_nothing_of_the_gateway_is_here():
    brought = {name for name in sys.modules if name.startswith("llmproxy")}
    assert brought <= {"llmproxy", "llmproxy.testing", "llmproxy.testing.pytest_plugin"}
    assert "aiohttp" not in sys.modules
"""


def run_pytest(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    paths = os.pathsep.join([str(ROOT / "proxy"), str(ROOT / "plugins")])
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "llmproxy.testing.pytest_plugin", *options]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_the_fixtures_serve_and_end_with_the_test(tmp_path: Path) -> None:
    modes = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
    options = [part for mode in modes for part in ("-o", mode)]
    run = run_pytest(tmp_path, FIXTURES, "-p", "pytest_asyncio.plugin", "-W", "error", *options)

    assert "2 passed" in run.stdout, run.stdout + run.stderr


def test_an_unrelated_run_imports_nothing_of_the_gateway(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, UNRELATED)

    assert "1 passed" in run.stdout, run.stdout + run.stderr
