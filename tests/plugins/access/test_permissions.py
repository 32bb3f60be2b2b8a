from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Caller, ConfigError
from llmproxy_access.permissions import Grant, NameList, check_names

WEB = Caller("shop", "web")


@pytest.mark.parametrize(
    ("pattern", "name", "held"),
    [
        ("fast", "fast", True),
        ("fast", "fast-2", False),
        ("gpt-*", "gpt-5", True),
        ("gpt-*", "GPT-5", False),
        ("*-mini", "gpt-5-mini", True),
        ("openai/*-mini", "openai/gpt-mini", True),
        ("ab*ba", "aba", False),
        ("*", "", True),
        ("a.c", "abc", False),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, name: str, held: bool) -> None:
    assert NameList([pattern]).holds(name) is held


@given(st.text(), st.text(), st.text())
def test_what_begins_and_ends_as_a_pattern_does_is_held(before: str, middle: str, after: str) -> None:
    names = NameList([f"{before.replace('*', '')}*{after.replace('*', '')}"])

    assert names.holds(before.replace("*", "") + middle + after.replace("*", ""))


def test_every_list_has_to_hold_a_name() -> None:
    grant = Grant(WEB, (NameList(["a", "b"]), NameList(["b", "c"])), (NameList(["chat"]),))
    may_ask = grant.model_check

    assert may_ask is not None
    assert [name for name in "abc" if may_ask(name)] == ["b"]
    assert [grant.may_pass(route) for route in ("chat", "other")] == [True, False]


def test_without_lists_all_may_be_used() -> None:
    assert Grant(WEB).model_check is None
    assert Grant(WEB).may_pass("any")


@pytest.mark.parametrize("names", [(), ("",), ("a*b*c",)])
def test_a_list_that_allows_nothing_or_cannot_be_read_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        check_names("models", names)


def test_no_list_is_none() -> None:
    check_names("models", None)
