from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Losses, Thinking
from llmproxy.plugin import BadField
from llmproxy_gemini.thinking import read_thinking, version, write_thinking


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-3-pro-preview", (3, 0)),
        ("gemini-3.1-flash-lite", (3, 1)),
        ("google/gemini-2.5-flash", (2, 5)),
        ("gemini-2.0-flash-001", (2, 0)),
        ("gemini-1.5-pro", (1, 5)),
        ("gemma-3-27b", (1, 0)),
        ("gemini-flash-latest", (99, 0)),
    ],
)
def test_a_models_name_tells_its_generation(model: str, expected: tuple[int, int]) -> None:
    assert version(model) == expected


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"thinkingBudget": 0}, Thinking(enabled=False, show="omitted")),
        ({"thinking_budget": -1}, Thinking(enabled=True, adaptive=True, show="omitted")),
        ({"thinkingBudget": 100}, Thinking(enabled=True, budget=100, show="omitted")),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, Thinking(effort="high", show="auto")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Thinking(show="omitted")),
        ({"includeThoughts": False}, Thinking(show="omitted")),
        ({}, None),
    ],
)
def test_a_config_is_read(told: dict[str, Any], meant: Thinking | None) -> None:
    assert read_thinking(told, Losses()) == meant


@pytest.mark.parametrize("told", [3, {"thinkingBudget": "x"}, {"thinkingLevel": 1}, {"includeThoughts": 1}])
def test_a_broken_config_is_refused(told: object) -> None:
    with pytest.raises(BadField):
        read_thinking(told, Losses())


@pytest.mark.parametrize(
    ("model", "thinking", "written", "lost"),
    [
        ("gemini-3-flash", Thinking(effort="low"), {"thinkingLevel": "LOW"}, []),
        ("gemini-3-flash", Thinking(effort="minimal"), {"thinkingLevel": "MINIMAL"}, []),
        ("gemini-3-pro", Thinking(effort="minimal"), {"thinkingLevel": "LOW"}, ["thinking.effort"]),
        ("gemini-3-pro", Thinking(effort="max"), {"thinkingLevel": "HIGH"}, ["thinking.effort"]),
        ("gemini-3-pro", Thinking(effort="odd"), {}, ["thinking.effort"]),
        (
            "gemini-3-pro",
            Thinking(effort="high", budget=9),
            {"thinkingLevel": "HIGH"},
            ["thinking.budget"],
        ),
        (
            "gemini-3-pro",
            Thinking(enabled=True, budget=9),
            {"thinkingBudget": 9, "includeThoughts": True},
            [],
        ),
        (
            "gemini-3-pro",
            Thinking(enabled=True, adaptive=True, effort="high"),
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            [],
        ),
        ("gemini-3-flash", Thinking(enabled=False), {"thinkingLevel": "MINIMAL"}, ["thinking"]),
        ("gemini-3-pro", Thinking(effort="none"), {"thinkingLevel": "LOW"}, ["thinking"]),
        ("gemini-2.5-flash", Thinking(effort="none"), {"thinkingBudget": 0}, []),
        ("gemini-2.5-pro", Thinking(enabled=False), {"thinkingBudget": 128}, ["thinking"]),
        ("gemini-2.5-pro", Thinking(effort="medium"), {"thinkingBudget": 8192}, ["thinking.effort"]),
        ("gemini-2.5-pro", Thinking(effort="xhigh"), {"thinkingBudget": 24576}, ["thinking.effort"]),
        ("gemini-2.5-pro", Thinking(effort="odd"), {}, ["thinking.effort"]),
        ("gemini-2.5-pro", Thinking(effort="low", budget=5), {"thinkingBudget": 5}, ["thinking.effort"]),
        (
            "gemini-2.5-pro",
            Thinking(enabled=True, adaptive=True),
            {"thinkingBudget": -1, "includeThoughts": True},
            [],
        ),
        ("gemini-2.0-flash", Thinking(effort="low"), {}, ["thinking"]),
        ("gemini-3-pro", Thinking(show="detailed"), {"includeThoughts": True}, ["thinking.show"]),
        ("gemini-3-pro", Thinking(show="omitted"), {"includeThoughts": False}, []),
    ],
)
def test_each_generation_is_told_in_its_way(
    model: str, thinking: Thinking, written: dict[str, Any], lost: list[str]
) -> None:
    losses = Losses()

    assert write_thinking(thinking, model, losses) == written
    assert [loss.field for loss in losses] == lost
