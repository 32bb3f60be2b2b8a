from typing import Any

import msgspec
import pytest

from llmproxy.caches import Purge
from llmproxy.plugin import ConfigError
from llmproxy_invalidation.naming import EventRule, Names, Naming, Rules, read_template
from llmproxy_invalidation.templates import Unfilled


def rule(**told: Any) -> EventRule:
    return msgspec.convert(told, EventRule)


def test_a_rule_names_purges_by_kind() -> None:
    names = Names(Naming(tags=("products", "product:{id}"), prefixes=("/p/{id}",), soft=True))

    assert names.fields == {"id"}
    assert names.purges({"id": 7}, "t") == [
        Purge("tag", ("products", "product:7"), "t", soft=True),
        Purge("prefix", ("/p/7",), "t", soft=True),
    ]


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ({}, True),
        ({"type": "updated"}, True),
        ({"type": "deleted"}, False),
        ({"type": ["deleted", "updated"]}, True),
        ({"data.n": 3}, True),
        ({"data.n": "3"}, False),
        ({"missing": "x"}, False),
        ({"type": "updated", "data.n": 4}, False),
    ],
)
def test_a_rule_applies_to_the_events_that_it_describes(when: dict[str, Any], applies: bool) -> None:
    event = {"type": "updated", "data": {"n": 3}}

    assert bool(Rules([rule(tags=["a"], when=when)]).purges(event)) == applies


def test_a_number_may_come_as_text() -> None:
    assert Rules([rule(tags=["a"], when={"n": 3})]).purges({"n": "3"})


def test_all_rules_that_apply_are_obeyed_and_a_tenant_may_be_named() -> None:
    rules = Rules([rule(tags=["a"]), rule(tags=["b:{id}"], tenant="{who}"), rule(tags=["c"], when={"id": 0})])

    assert rules.purges({"id": 1, "who": ["t", "u"]}) == [
        Purge("tag", ("a",)),
        Purge("tag", ("b:1",), "t"),
        Purge("tag", ("b:1",), "u"),
    ]
    with pytest.raises(Unfilled):
        rules.purges({"id": 1})


@pytest.mark.parametrize("told", [{}, {"soft": True}, {"tags": ["{"]}, {"tags": ["a"], "tenant": "}"}])
def test_a_rule_that_could_purge_nothing_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, msgspec.ValidationError)):
        rule(**told)


def test_a_bad_template_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match="refill"):
        read_template("{", "refill")
