"""Spans, prices and limits of a LiteLLM file."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.budgets import Budgets, span_of
from llmproxy.importing.walking import Note, Walk


@pytest.mark.parametrize(
    ("told", "window"),
    [
        ("30d", {"window": "month"}),
        ("1mo", {"window": "month"}),
        ("24h", {"window": "day"}),
        ("60s", {"window": "minute"}),
        ("90s", {"rolling": "90s"}),
        ("2w", {"rolling": "14d"}),
        ("3mo", {"rolling": "90d"}),
        ("0d", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_span_is_a_window_of_the_calendar_or_a_rolling_one(told: Any, window: Any) -> None:
    assert span_of(told) == window


def read(library: dict[str, Any], general: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    notes: list[Note] = []
    budgets = Budgets({})
    budgets.read(Walk(library, "l", notes), Walk(general, "g", notes))
    return budgets.limits, [note.path for note in notes]


def test_a_budget_that_never_ends_is_told() -> None:
    limits, told = read({"max_budget": 0}, {})

    assert limits == [{"name": "proxy-budget", "counts": "money", "rolling": "3650d", "at_most": 0}]
    assert told == ["l.max_budget"]


def test_what_is_no_number_or_beyond_counting_is_no_limit() -> None:
    params = {"rpm_limit": "many", "tpm_limit": 1e15, "max_budget": 1e300}

    assert read({"default_team_params": params, "max_budget": True}, {}) == ([], [])


def test_what_is_said_of_keys_beside_their_limits_is_told() -> None:
    _, told = read(
        {"default_key_generate_params": {"models": ["a"], "max_budget": 1, "budget_duration": "x"}}, {}
    )

    assert told == [
        "l.default_key_generate_params.budget_duration",
        "l.default_key_generate_params.models",
    ]


def test_a_price_needs_what_input_and_output_cost() -> None:
    notes: list[Note] = []
    info = Walk({"input_cost_per_token": 1e-6, "output_cost_per_token": 2}, "i", notes)
    half = Walk({"input_cost_per_token": 1e-6}, "h", notes)
    whole = Walk({"input_cost_per_token": 1e-6, "output_cost_per_token": 0}, "w", notes)
    budgets = Budgets({})

    assert budgets.costs(Walk({}, "p", notes), info) == {}
    assert budgets.costs(Walk({}, "p", notes), half) == {}
    assert budgets.costs(Walk({}, "p", notes), whole) == {"input": 1.0, "output": 0.0}
    assert [note.path for note in notes] == ["i.output_cost_per_token", "i", "h"]


def test_the_first_price_of_a_place_counts() -> None:
    notes: list[Note] = []
    budgets, params = Budgets({}), Walk({}, "p", notes)
    for number in (1.0, 1.0, 2.0):
        budgets.price(params, "main", "*", {"input": number, "output": 1.0})

    assert budgets.prices == {"main/*": {"input": 1.0, "output": 1.0}}
    assert len(notes) == 1


def test_rates_of_deployments_are_limits_where_litellm_keeps_to_them() -> None:
    router = {"routing_strategy": "usage-based-routing-v2"}
    keeping, weighing = Budgets({"router_settings": router}), Budgets({})
    for budgets in (keeping, weighing):
        budgets.rates("fast", [{"rpm": 6, "tpm": 10}, {"rpm": 4}])

    assert weighing.limits == []
    assert [(each["name"], each["at_most"]) for each in keeping.limits] == [("fast-rpm", 10)]
