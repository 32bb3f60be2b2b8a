"""`llmproxy semantic evaluate`."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main

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
