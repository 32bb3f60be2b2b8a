"""Deployments of one name: places with weights, tiers by their order."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.groups import Member, Pools, number, read_share
from llmproxy.importing.walking import Note, Walk


def member(upstream: str, model: str = "m", **more: Any) -> Member:
    order, limit = more.pop("order", 0.0), more.pop("limit", None)
    return Member(upstream, model, more, order, limit)


def group(*members: Member) -> tuple[Any, Any]:
    pools = Pools()
    return pools.of_group("chat", list(members), "weighted"), pools.tree


def test_one_deployment_is_a_place_of_its_own() -> None:
    assert group(member("a", weight=3.0, limit=5)) == ({"upstream": "a", "model": "m", "limit": 5}, {})


@pytest.mark.parametrize(
    ("first", "second", "weights"),
    [
        ({"weight": 9.0}, {"weight": 1.0}, [9, 1]),
        ({"rpm": 60.0}, {"rpm": 30.0, "weight": 7.0}, [60, 30]),
        ({"tpm": 1.5}, {}, [1.5, 0]),
        ({}, {"weight": 7.0}, [None, None]),
        ({"weight": 2.0}, {"weight": 2.0}, [None, None]),
        ({"tpm": 4_000_000.0}, {"tpm": 1_000_000.0}, [1_000_000, 250_000]),
    ],
)
def test_weights_are_what_the_first_deployment_names(first: Any, second: Any, weights: Any) -> None:
    place, tree = group(member("a", **first), member("b", **second))

    assert place == {"pool": "chat"}
    assert tree["chat"]["strategy"] == "weighted"
    assert [each.get("weight") for each in tree["chat"]["targets"]] == weights


def test_equal_deployments_are_one_that_is_heavier() -> None:
    _, tree = group(member("a"), member("b"), member("a"))

    assert [each["weight"] for each in tree["chat"]["targets"]] == [2, 1]
    assert group(member("a"), member("a")) == ({"upstream": "a", "model": "m"}, {})


def test_tiers_are_tried_one_after_the_other() -> None:
    place, tree = group(member("c", order=2.0), member("a", order=1.0), member("b", order=1.0))

    assert tree[place["pool"]] == {"targets": [{"pool": "chat-1"}, {"upstream": "c", "model": "m"}]}
    assert [each["upstream"] for each in tree["chat-1"]["targets"]] == ["a", "b"]


def test_a_pools_name_is_plain_and_taken_once() -> None:
    pools = Pools()

    assert [pools.add(wish, []) for wish in ("a/b c", "a-b-c", "***")] == ["a-b-c", "a-b-c-2", "pool"]


def test_a_place_that_stands_twice_gets_a_pool_of_its_own() -> None:
    pools = Pools()
    place = {"upstream": "a", "model": "m"}
    pools.add("p", [place, {**place, "after": ["window"], "weight": 2}])

    assert pools.tree["p"]["targets"] == [place, {"pool": "p-again", "after": ["window"], "weight": 2}]
    assert pools.tree["p-again"] == {"targets": [place]}


def test_what_a_deployment_says_of_its_part_is_taken() -> None:
    notes: list[Note] = []
    walk = Walk({"weight": "2", "rpm": "many", "order": 1, "max_parallel_requests": 0, "x": 1}, "p", notes)
    share = read_share(walk)

    assert share == ({"weight": 2.0}, 1.0, None)
    assert [note.path for note in notes] == ["p.rpm"]
    assert list(walk) == ["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        ("2.5", 2.5),
        (True, None),
        (-1, None),
        (float("nan"), None),
        ("inf", None),
        (10**400, None),
        ([], None),
    ],
)
def test_a_number_is_not_below_zero(value: object, expected: float | None) -> None:
    assert number(value) == expected
