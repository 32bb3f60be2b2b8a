from __future__ import annotations

import pytest

from llmproxy.references import Resolved
from llmproxy.suggestions import nearest, unknown_key, unknown_name, unknown_strategy


def test_the_nearest_name_is_found() -> None:
    assert nearest("upstreem", ["name", "upstream"]) == "upstream"
    assert nearest("xyz", ["name", "upstream"]) is None


def test_an_unknown_key_comes_with_the_one_that_was_meant() -> None:
    error = unknown_key("routes[0]", "upstreem", ["name", "upstream"])

    assert (error.path, error.message, error.suggestion) == (
        "routes[0].upstreem",
        'unknown key "upstreem"',
        "upstream",
    )


def test_an_unknown_key_like_no_other_comes_with_all_there_are() -> None:
    assert str(unknown_key("", "xyz", ["b", "a"])) == 'xyz: unknown key "xyz" (known: a, b)'


def test_an_unknown_key_that_is_written_otherwise_comes_with_what_to_do() -> None:
    assert str(unknown_key("", "ab", ["a"], "write b")) == 'ab: unknown key "ab"; write b'


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("round-robin", "round_robin"),
        ("canary", "ab"),
        ("least-busy", None),
        ("wieghted", "weighted"),
        ("xyz", None),
    ],
)
def test_a_strategy_may_go_by_another_name_elsewhere(name: str, meant: str | None) -> None:
    error = unknown_strategy("pools.p.strategy", name, ["ab", "round_robin", "weighted"])

    assert error.suggestion == meant
    assert f"{name!r} is not known (known: ab, round_robin, weighted)" in str(error)


def test_an_unknown_name_says_what_it_should_have_named() -> None:
    assert unknown_name("r", "upstream", "mian", ["main"]).suggestion == "main"
    assert str(unknown_name("r", "store", "x", ["main"])) == 'r: unknown store "x" (known: main)'
    assert str(unknown_name("r", "store", "x", [])) == 'r: unknown store "x" (no store is configured)'


def test_a_name_from_a_reference_is_shown_as_the_reference() -> None:
    error = unknown_name("r", "upstream", Resolved("sk-1", "${env:UP}"), [])

    assert error.message.startswith('unknown upstream "${env:UP}"')
