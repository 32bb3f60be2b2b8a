"""`llmproxy plugins`, `hooks` and `schema`."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.commands.listing import implemented
from llmproxy.hooks import HOOKS
from llmproxy.plugin import Exchange, NoConfig, Plugin, hookimpl


class TwoPlugin(Plugin[NoConfig]):
    """Two hooks."""

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None: ...

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> None: ...


def run(*arguments: str) -> str:
    told = CliRunner().invoke(main, list(arguments))
    assert told.exit_code == 0, told.output
    return told.stdout


def test_hooks_are_listed_in_the_order_they_are_called() -> None:
    names = [line.split()[0] for line in run("hooks").splitlines()]

    assert set(names) == HOOKS
    assert names.index("pre_route") < names.index("cache_lookup") < names.index("post_response")


def test_a_hooks_contract_has_its_signature() -> None:
    text = run("hooks", "attempt_done")

    assert text.startswith("def attempt_done(self, exchange: ")
    assert "\nFailure: " in text


def test_a_mistyped_hook_is_told_with_the_nearest() -> None:
    told = CliRunner().invoke(main, ["hooks", "pre_rout"])

    assert told.stderr == "llmproxy: no hook is called 'pre_rout'; did you mean 'pre_route'?\n"
    assert told.exit_code == 2


def test_a_plugins_hooks_are_told_in_their_order() -> None:
    assert implemented(TwoPlugin) == ["pre_route", "post_response"]


def test_installed_plugins_are_listed_with_their_hooks() -> None:
    listed = {plugin["name"]: plugin for plugin in orjson.loads(run("plugins", "--json"))}

    assert {"access", "accesslog", "demo", "metrics", "openai"} <= listed.keys()
    assert "pre_route" in listed["access"]["hooks"]
    assert "access  (" in run("plugins")


def test_a_plugin_that_cannot_be_imported_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[llmproxy.plugins]\nbroken = nowhere_at_all:Plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = run("plugins")

    assert "broken  (broken 1)  plugin 'broken' cannot be imported" in text
    assert "access  (" in text


def test_the_schema_knows_the_installed_plugins() -> None:
    schema = orjson.loads(run("schema"))

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"access", "openai"} <= schema["properties"]["plugins"]["properties"].keys()
