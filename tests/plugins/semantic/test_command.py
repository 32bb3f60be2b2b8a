"""`llmproxy semantic`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.formats import parse
from llmproxy.plugin import AdminRequest, NoConfig, Plugin, Registry, Reply, hookimpl
from llmproxy.testing import FakeUpstream, running_gateway
from llmproxy_semantic.reporting import plain
from llmproxy_semantic.thresholds import NEVER
from llmproxy_semantic.verifying import Verification

PAIRS = Path(__file__).parents[4] / "shared" / "data" / "semantic_pairs_dev.jsonl"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = [
        {
            "prompt_a": "What is DNS?",
            "prompt_b": "hi, what's dns",
            "label": 1,
            "source": "own",
            "kind": "case",
        },
        {"prompt_a": "Add 5 and 6", "prompt_b": "Add 5 and 7", "label": 0, "source": "own", "kind": "number"},
    ]
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return file


def run(*args: object) -> str:
    result = CliRunner().invoke(main, ["semantic", "evaluate", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_served_is_told_by_label_and_kind_with_bounds(pairs: Path) -> None:
    told = run(pairs)

    assert "2 pairs, policy canonical" in told
    assert "kind number" in told
    assert "1 of     1  100.00%  (2.50% to 100.00%)  canonical 1" in told


def test_the_same_as_json_and_of_the_first_pairs_only(pairs: Path) -> None:
    told = orjson.loads(run(pairs, "--json", "--limit", 1))

    assert (told["pairs"], told["served"][0]["share"]) == (1, 1.0)


def test_a_file_that_holds_no_pairs_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("{}")
    result = CliRunner().invoke(main, ["semantic", "evaluate", str(file)])

    assert result.exit_code == 1
    assert "line 1: " in result.output


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not PAIRS.exists(), reason="the labelled pairs are not here")
def test_of_the_labelled_pairs_nothing_is_served_wrongly_and_easy_rewordings_are_served() -> None:
    told = orjson.loads(run(PAIRS, "--json"))
    served = {each["group"]: each for each in told["served"]}
    easy = [served[f"kind {kind}"] for kind in ("wrapper", "case", "contraction", "number_form")]

    assert told["wrong"][0]["served"] == 0
    assert sum(each["served"] for each in easy) >= 0.75 * sum(each["pairs"] for each in easy)


def test_thresholds_are_written_as_configuration(pairs: Path) -> None:
    pytest.importorskip("onnxruntime")
    result = CliRunner().invoke(main, ["semantic", "calibrate", str(pairs)], catch_exceptions=False)
    tree = parse(result.output, "yaml", "thresholds")

    assert result.exit_code == 0
    # One negative promises nothing.
    assert tree["plugins"]["semantic"]["thresholds"]["tiers"] == [NEVER] * 3


async def test_thresholds_of_an_upstreams_model_are_found_too(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    file = tmp_path / "pairs.jsonl"
    row = {
        "prompt_a": "Which food does a cat like?",
        "prompt_b": "Which food do cats like to eat?",
        "label": 1,
    }
    file.write_bytes(orjson.dumps(row))
    async with FakeUpstream() as upstream:
        for _ in range(2):
            upstream.reply(json={"data": [{"embedding": [3, 4]}]})
        where = ["--upstream", "main", "--base-url", upstream.url, "--model", "small"]
        command = ["semantic", "calibrate", str(file), *where]
        result = await asyncio.to_thread(CliRunner().invoke, main, command)

    assert result.exit_code == 0, result.output
    assert 'embedder: "main/small/canonical-' in result.output


def test_an_upstream_is_named_whole(pairs: Path) -> None:
    result = CliRunner().invoke(main, ["semantic", "calibrate", str(pairs), "--upstream", "main"])

    assert result.exit_code == 2
    assert "go together" in result.output


class Telling(Plugin[NoConfig]):
    """Tells of a route."""

    @hookimpl
    def register(self, registry: Registry) -> None:
        registry.admin_route("GET", "/semantic", self._told, permission="read")

    async def _told(self, request: AdminRequest) -> Reply:
        return Reply.json({"routes": {"chat": plain(Verification(0.01, Random(1)).told())}})


@pytest.mark.parametrize(
    ("flags", "told"), [((), "chat: not certified"), (("--json",), '"certified": false')]
)
async def test_a_report_is_what_the_running_gateway_tells(
    flags: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN", TOKEN)
    async with running_gateway(gateway_config({"telling": {"use": Telling}})) as gateway:
        result = await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["semantic", "report", "--admin", gateway.admin_url, "--token-env", "ADMIN", *flags],
        )

    assert result.exit_code == 0, result.output
    assert told in result.output


async def test_a_gateway_without_the_plugin_has_nothing_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN", TOKEN)
    async with running_gateway(gateway_config({})) as gateway:
        result = await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["semantic", "report", "--admin", gateway.admin_url, "--token-env", "ADMIN"],
        )

    assert result.exit_code != 0


TOKEN = "a-token-of-the-admin"


def gateway_config(plugins: dict[str, object]) -> dict[str, object]:
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN}"},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": plugins,
        "routes": [{"name": "r", "upstream": "demo", "plugins": list(plugins)}],
    }
