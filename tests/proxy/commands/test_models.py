"""`llmproxy models`."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main


def run(*arguments: str) -> str:
    told = CliRunner().invoke(main, ["models", *arguments])
    assert told.exit_code == 0, told.output
    return told.stdout


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(run("--json", *arguments))
    return found


def test_a_thousand_models_and_sixty_providers_are_listed() -> None:
    whole = [model for model in listed() if model["prices"] and model["context_window"]]

    assert len(whole) >= 1000
    assert len({model["provider"] for model in whole}) >= 60


def test_a_model_is_listed_under_the_name_that_the_gateway_serves_it_by() -> None:
    lines = run("--provider", "openai", "gpt-4o-mini").splitlines()

    assert lines[0].split() == ["model", "window", "input", "output", "cache", "read", "cache", "write"]
    assert ["openai/gpt-4o-mini", "128,000", "0.15", "0.6", "0.075", "-"] in [line.split() for line in lines]
    assert lines[-1].endswith("of 1 provider")


@pytest.mark.parametrize(
    ("pattern", "every"),
    [("CLAUDE", "claude"), ("anthropic/*", "anthropic/"), ("*/claude-*", "/claude-")],
)
def test_a_pattern_chooses_models(pattern: str, every: str) -> None:
    names = [model["id"].lower() for model in listed(pattern)]

    assert names
    assert all(every in name for name in names)


def test_a_pattern_with_a_star_means_the_whole_name() -> None:
    assert listed("claude*") == []


def test_a_provider_goes_by_any_of_its_names() -> None:
    assert listed("--provider", "google") == listed("--provider", "gemini") != []


def test_prices_of_longer_prompts_are_told() -> None:
    (model,) = [model for model in listed("--provider", "anthropic") if model["name"] == "claude-haiku-5-5"]

    assert [tier["for_prompts_above"] for tier in model["prices"]] == [0, 100_000]
    assert "+" in run("anthropic/claude-haiku-5-5")


def test_nothing_found_is_said() -> None:
    assert run("no-such-model-anywhere") == "no model that is known has such a name\n"


def test_a_mistyped_provider_is_told_with_the_nearest() -> None:
    told = CliRunner().invoke(main, ["models", "--provider", "grog"])

    assert told.stderr == "llmproxy: no provider is called 'grog'; did you mean 'groq'?\n"
    assert told.exit_code == 2
