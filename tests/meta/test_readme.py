"""The README's commands run, and the code it shows is checked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from llmproxy.cli import main

from .tree import ROOT

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(?:# (run|check: \w+)\n)?(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(block[1], block[2], block[3]) for block in BLOCK.finditer(README)]


def block(mark: str) -> str:
    (text,) = [text for _, given, text in BLOCKS if given == mark]
    return text


def commands() -> list[str]:
    return [text.strip() for _, mark, text in BLOCKS if mark == "run"]


def test_two_commands_do_all_the_set_up() -> None:
    assert commands() == ["./deploy/try.sh", "./deploy/test.sh"]


@pytest.mark.parametrize("command", commands())
def test_a_command_is_a_script_that_the_gate_runs_too(command: str) -> None:
    script = ROOT / command

    assert os.access(script, os.X_OK)
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_the_first_command_ends_with_an_answer_from_the_gateway() -> None:
    gateway = [sys.executable, "-m", "llmproxy"]
    run = subprocess.run(
        [sys.executable, "deploy/try.py", *gateway],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'proxy'}{os.pathsep}{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Hello from llmproxy!" in run.stdout.partition("answered:")[2]


def test_the_configuration_it_shows_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(block("check: config"))
    environ = {"OPENAI_API_KEY": "example-openai-0123456789", "SHOP_KEY": "example-shop-0123456789"}

    run = CliRunner().invoke(main, ["check", str(path)], env=environ)

    assert run.exit_code == 0, run.output


def test_the_providers_it_shows_pass_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(block("check: providers"))
    keys = ("GROQ_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY")

    run = CliRunner().invoke(main, ["check", str(path)], env={key: f"example-{key.lower()}" for key in keys})

    assert run.exit_code == 0, run.output


def test_the_plugin_it_shows_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("readme_plugin")
    exec(compile(block("check: plugin"), "README.md", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "readme_plugin", module)
    path = tmp_path / "gateway.yaml"
    path.write_text('plugins: {hello: {use: "readme_plugin:HelloPlugin"}}\npipeline: [hello]\n')

    run = CliRunner().invoke(main, ["check", str(path)])

    assert run.exit_code == 0, run.output


def test_the_sdk_snippet_parses_and_asks_the_default_address() -> None:
    text = block("check: sdk")
    compile(text, "README.md", "exec")

    assert 'base_url="http://127.0.0.1:8080/v1"' in text


def test_the_store_it_shows_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(block("check: memory"))
    keys = ("ANTHROPIC_API_KEY", "GEMINI_API_KEY")

    run = CliRunner().invoke(main, ["check", str(path)], env={key: f"example-{key.lower()}" for key in keys})

    assert run.exit_code == 0, run.output


def test_the_stores_it_shows_pass_check(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("cd" * 32)
    path = tmp_path / "gateway.yaml"
    path.write_text(block("check: stores").replace("/run/secrets/old-store-key", str(secret)))

    run = CliRunner().invoke(main, ["check", str(path)], env={"STORE_KEY": "ab" * 32})

    assert run.exit_code == 0, run.output


def test_the_cache_it_shows_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(block("check: cached"))
    environ = {"OPENAI_API_KEY": "example-openai-0123456789", "ADMIN_TOKEN": "example-admin-0123456789"}

    run = CliRunner().invoke(main, ["check", str(path)], env=environ)

    assert run.exit_code == 0, run.output


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"`?llmproxy ([a-z]+(?:-[a-z]+)*)\b", "\n".join(text for _, _, text in BLOCKS)))

    assert named - set(main.list_commands(click.Context(main))) == set()


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)

    assert [link for link in links if not _leads_somewhere(link)] == []


def _leads_somewhere(link: str) -> bool:
    file, _, section = link.partition("#")
    if not section or not (ROOT / file).exists():
        return (ROOT / file).exists()
    headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(), re.MULTILINE)
    return section in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_teams_budgets_are_as_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADMIN_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("ACCESS_PEPPER", "0123456789abcdef" * 2)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    Path("gateway.yaml").write_text(block("check: teams").replace("/var/lib/llmproxy", str(tmp_path)))
    run = CliRunner().invoke(main, ["check", "gateway.yaml"])

    assert run.output.startswith("ok: ")
    assert "note" not in run.output
    for line in block("check: keys").splitlines():
        words = line.partition("  #")[0].split()
        if words[1] == "keys":
            assert CliRunner().invoke(main, words[1:]).exit_code == 0, line
        else:
            command = [word for word in words[1:3] if not word.startswith("-")]
            named = CliRunner().invoke(main, [*command, "--help"]).output
            assert all(word in named for word in words if word.startswith("--")), line
