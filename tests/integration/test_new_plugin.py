"""A plugin made by `llmproxy new-plugin`, installed where nothing else is, is loaded by its name and answers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from llmproxy.commands.new_plugin import new_plugin
from llmproxy.testing import RawClient

from .process import GatewayProcess, clean_environ

ROOT = Path(__file__).parents[2]
CONFIG = """
listen: 127.0.0.1:0
admin: {listen: "off"}
server: {drain_pause: 1ms}
upstreams: {demo: {dialect: demo, base_url: "http://demo.invalid"}}
plugins: {hello_world: {text: "hi there"}, quiet: {use: hello_world, header: x-quiet}}
pipeline: [hello_world]
routes:
  - {name: models, match: {path: "/v1/*"}, upstream: demo, plugins: [quiet: {enabled: false}]}
"""
BODY = b'{"model":"echo","messages":[{"role":"user","content":"Hello!"}]}'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def gateway_source(folder: Path) -> Path:
    """Copy what a distribution is built of, so that building leaves no traces in the tree."""
    source = folder / "gateway"
    for part in ("proxy", "plugins"):
        shutil.copytree(
            ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for part in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    return source


def run(*command: str | Path, cwd: Path) -> str:
    environ = {name: value for name, value in clean_environ().items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    ran = subprocess.run(
        words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=280, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_new_plugin_serves_from_a_clean_environment(tmp_path: Path) -> None:
    new_plugin("hello-world", tmp_path)
    project = tmp_path / "llmproxy-hello-world"
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG)

    run(python, "-m", "pip", "install", "--quiet", gateway_source(tmp_path), f"{project}[test]", cwd=tmp_path)
    tested = run(python, "-m", "pytest", "-q", cwd=project)
    checked = run(python.with_name("llmproxy"), "check", config, cwd=tmp_path)
    with GatewayProcess("-c", config, program=python.with_name("llmproxy")) as gateway:
        async with RawClient(gateway.url) as client:
            reply = await client.exchange(REQUEST)

    assert " passed" in tested
    assert checked.startswith("ok: ")
    assert (reply.status, reply.json()["choices"][0]["message"]["content"]) == (200, "Hello!")
    assert "hi there" in (reply.header("x-hello-world") or ""), reply.headers
    assert reply.header("x-quiet") is None
