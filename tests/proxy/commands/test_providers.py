"""`llmproxy providers`."""

from __future__ import annotations

from typing import Any

import orjson
from click.testing import CliRunner

from llmproxy.cli import main


def run(*arguments: str, **environ: str | None) -> str:
    told = CliRunner().invoke(main, ["providers", *arguments], env=environ)
    assert told.exit_code == 0, told.output
    return told.stdout


def listed(**environ: str | None) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in orjson.loads(run("--json", **environ))}


def test_a_provider_has_a_line_that_says_how_to_reach_it() -> None:
    lines = {line.split()[0]: line.split() for line in run(GROQ_API_KEY="sk-secret").splitlines()}

    assert lines["groq"] == ["groq", "openai", "GROQ_API_KEY", "yes", "https://api.groq.com/openai/v1"]
    assert lines["gemini"][1] == "gemini"


def test_no_key_is_ever_shown() -> None:
    environ = {"GROQ_API_KEY": "sk-secret"}

    assert "sk-secret" not in run(**environ) + run("--json", **environ)


def test_the_variable_that_holds_the_key_is_named() -> None:
    text = run(GEMINI_API_KEY=None, GOOGLE_API_KEY="g", GOOGLE_GENERATIVE_AI_API_KEY=None)

    assert ["gemini", "gemini", "GOOGLE_API_KEY", "yes"] in [line.split()[:4] for line in text.splitlines()]


def test_a_server_of_ones_own_needs_no_key() -> None:
    assert listed(VLLM_API_KEY=None)["vllm"]["key_needed"] is False
    assert any(
        line.startswith("vllm ") and "not needed" in line for line in run(VLLM_API_KEY=None).splitlines()
    )


def test_json_tells_what_a_missing_file_would_serve() -> None:
    found = listed(MISTRAL_API_KEY="m", GITHUB_TOKEN="t", XAI_API_KEY=None)

    assert found["mistral"]["served_without_a_file"] is True
    assert found["github-models"]["served_without_a_file"] is False
    assert (found["xai"]["key_set"], found["xai"]["served_without_a_file"]) == (False, False)
    assert found["deepseek"]["other_dialects"] == {"anthropic": "https://api.deepseek.com/anthropic/v1"}
