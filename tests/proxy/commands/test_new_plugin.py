"""What is written works: it passes its own tests once installed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.commands.group import Refusal
from llmproxy.commands.new_plugin import new_plugin

ROOT = Path(__file__).parents[3]


def install(project: Path) -> Path:
    """Do to a project what an installer does: put its packages and its entry points on a path."""
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    metadata = project / "src" / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: 0.1.0\n")
    points = told["entry-points"]["llmproxy.plugins"].items()
    (metadata / "entry_points.txt").write_text(
        "[llmproxy.plugins]\n" + "".join(f"{name} = {value}\n" for name, value in points)
    )
    return project / "src"


def environment(*folders: Path) -> dict[str, str]:
    path = os.pathsep.join(str(folder) for folder in (ROOT / "proxy", ROOT / "plugins", *folders))
    return {**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new_plugin("hello-world", tmp_path)
    return tmp_path / "llmproxy-hello-world"


def test_it_passes_its_own_tests(project: Path) -> None:
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "llmproxy.testing.pytest_plugin"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugins],
        cwd=project,
        env=environment(install(project)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_a_configuration_finds_it_by_its_name(project: Path, tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("plugins: {hello_world: {text: hi}}\npipeline: [hello_world]\n")
    run = subprocess.run(
        [sys.executable, "-m", "llmproxy", "check", str(config)],
        env=environment(install(project)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stdout.startswith("ok: 0 routes, 1 plugin,"), run.stderr


def test_it_is_a_typed_package_with_all_its_parts(project: Path) -> None:
    package = project / "src" / "llmproxy_hello_world"

    assert {path.name for path in package.iterdir()} == {
        "__init__.py",
        "config.py",
        "plugin.py",
        "py.typed",
        "README.md",
        "stamp.py",
    }
    for path in project.rglob("*.py"):
        ast.parse(path.read_text(), str(path))
    assert not any("@@" in path.read_text() for path in project.rglob("*.*"))


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("hello", "llmproxy_hello"),
        ("llmproxy-two-words", "llmproxy_two_words"),
        ("Three_3", "llmproxy_three_3"),
    ],
)
def test_a_name_becomes_a_package(name: str, package: str, tmp_path: Path) -> None:
    new_plugin(name, tmp_path)

    assert len(list(tmp_path.glob(f"*/src/{package}/plugin.py"))) == 1


@pytest.mark.parametrize("name", ["", "3d", "a--b", "a/b", "../x", "ä", "a "])
def test_a_bad_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="is no plugin's name"):
        new_plugin(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    new_plugin("hello", tmp_path)
    run = CliRunner().invoke(main, ["new-plugin", "hello", str(tmp_path)])

    assert run.exit_code == 2
    assert "is there already" in run.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refusal, match="cannot write"):
        new_plugin("hello", tmp_path / "file" / "below")


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["new-plugin", "hello", str(tmp_path)])

    assert run.exit_code == 0
    assert "pip install -e" in run.stdout
