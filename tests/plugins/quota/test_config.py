from typing import Any

import msgspec
import pytest

from llmproxy.decode import decode_struct
from llmproxy.plugin import ConfigError, ConfigErrors
from llmproxy_quota.config import LimitConfig, QuotaConfig, ThenConfig


def limit(**given: Any) -> LimitConfig:
    return msgspec.convert({"name": "x", "counts": "requests", "at_most": 5, **given}, LimitConfig)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "window"),
        ({"window": "day", "rolling": 60}, "window"),
        ({"counts": "in_flight", "window": "day"}, "counts"),
        ({"counts": "tokens", "rate": 60}, "rate"),
        ({"window": "day", "burst": 5}, "burst"),
        ({"rate": 60, "burst": 0}, "burst"),
        ({"rate": 0}, "rate"),
        ({"rate": 60, "at_most": 0}, "rate"),
        ({"rolling": 0.5}, "rolling"),
        ({"window": "day", "at_most": 1.5}, "at_most"),
        ({"window": "day", "at_most": -1}, "at_most"),
        ({"rate": 86_400, "at_most": 1_000_000_000}, "at_most"),
        ({"counts": "money", "window": "day", "at_most": 10**10}, "at_most"),
        ({"window": "day", "at_most_for": {"search": 1.5}}, "at_most_for.search"),
        ({"rate": 60, "at_most_for": {"search": 0}}, "rate"),
        ({"counts": "money", "window": "day", "near": 0.9}, "then"),
        ({"counts": "money", "window": "day", "then": {"model": "m"}}, "then"),
        ({"counts": "money", "window": "day", "near": 1, "then": {"model": "m"}}, "near"),
        ({"window": "day", "near": 0.9, "then": {"model": "m"}}, "then"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(given: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: "):
        limit(**given)


def test_money_is_counted_in_microdollars() -> None:
    assert limit(counts="money", window="day", at_most="0.1").whole == 100_000
    assert limit(window="day").whole == 5


@pytest.mark.parametrize(
    "given",
    [
        {"limits": (limit(window="day"), limit(window="month"))},
        {"limits": (limit(name='a"b', window="day"),)},
        {"limits": (), "output": 0},
        {"limits": (), "lease": 0.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        QuotaConfig(store="s", **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"window": "30d"},
            "limits[0]: window is minute, hour, day, week, month; for any time of a length write rolling: 30d",
        ),
        ({"window": "day", "max": 7}, 'limits[0].max: unknown key "max"; write at_most'),
        ({"window": "day", "at_most": "$7"}, "limits[0].at_most: not a plain number, such as 250 or 0.5"),
        ({"window": "day", "team": "search"}, 'limits[0].team: unknown key "team"; write scope and match'),
    ],
)
def test_what_others_call_otherwise_is_told_by_its_name_here(given: dict[str, Any], told: str) -> None:
    limits = [{"name": "x", "counts": "money", "at_most": 5, **given}]
    with pytest.raises(ConfigErrors) as caught:
        decode_struct(QuotaConfig, {"store": "s", "limits": limits})

    assert [str(error) for error in caught.value.errors] == [told]


def test_a_cheaper_model_may_be_named_alone() -> None:
    tree = {"name": "x", "counts": "money", "at_most": 5, "window": "day", "near": 0.9, "then": "small"}

    assert decode_struct(LimitConfig, tree).then == ThenConfig(model="small")
