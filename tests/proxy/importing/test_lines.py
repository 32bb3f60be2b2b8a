"""Where names lead: to a place, a pool, or a pool with what it falls back to."""

from __future__ import annotations

from typing import Any

from llmproxy.importing.fallbacks import Fallback
from llmproxy.importing.groups import Member
from llmproxy.importing.lines import Lines


def member(upstream: str, model: str | None = "m", limit: int | None = None) -> Member:
    return Member(upstream, model, {}, 0.0, limit)


def lines(*, pooled: bool = False, **groups: list[Member]) -> Lines:
    return Lines({**groups, "w/*": [member("w", "*")]}, {"nick": "one"}, "weighted", pooled=pooled)


def lead(made: Lines, name: str, *fallbacks: tuple[str, str]) -> tuple[Any, list[str]]:
    told: list[str] = []
    line = [Fallback(each, kind, f"f.{each}") for each, kind in fallbacks]
    return made.model(name, line, lambda path, text: told.append(path)), told


def test_a_single_place_needs_no_pool() -> None:
    made = lines(one=[member("a")], same=[member("a", "same")], few=[member("a", "few", 3)])

    assert lead(made, "one")[0] == {"upstream": "a", "model": "m"}
    assert lead(made, "same")[0] == {"upstream": "a"}
    assert lead(made, "few")[0] == {"pool": "few"}
    assert lead(made, "w/*")[0] == {"upstream": "w", "model": "*"}
    assert lead(made, "gone")[0] is None
    assert made.longest() == 1


def test_what_is_tried_again_needs_one() -> None:
    made = lines(pooled=True, one=[member("a")])

    assert lead(made, "one")[0] == {"pool": "one"}
    assert lead(made, "w/*")[0] == {"upstream": "w", "model": "*"}


def test_a_line_is_the_name_itself_then_what_it_falls_back_to() -> None:
    made = lines(one=[member("a")], two=[member("b"), member("c")])
    found, told = lead(
        made, "two", ("nick", ""), ("two", ""), ("w/x", ""), ("one", ""), ("one", "window"), ("gone", "")
    )

    assert made.pools.tree[found["pool"]]["targets"] == [
        {"pool": "two"},
        {"upstream": "a", "model": "m"},
        {"upstream": "w", "model": "x"},
        {"pool": "two-fallbacks-again", "after": ["window"]},
    ]
    assert told == ["f.gone"]
    assert lead(made, "one", ("gone", "")) == ({"upstream": "a", "model": "m"}, [])
    assert made.longest() == 5


def test_names_of_a_wildcard_may_share_a_pool_where_they_stay_as_they_are() -> None:
    made = Lines({"gpt-*": [member("a", None), member("b", None)]}, {}, "weighted", pooled=False)

    assert made.model("gpt-*", [], lambda path, text: None) == {"pool": "gpt"}
    assert made.pools.tree["gpt"]["targets"] == [{"upstream": "a"}, {"upstream": "b"}]
