from __future__ import annotations

from collections.abc import Callable

import pytest

from llmproxy.canonical import Losses
from llmproxy.plugin import BadField
from llmproxy_gemini.fields import (
    boolean,
    camel,
    integer,
    items,
    lose_rest,
    members,
    number,
    text,
    texts,
    unreadable,
    word,
)


@pytest.mark.parametrize(
    ("key", "told"), [("max_output_tokens", "maxOutputTokens"), ("top_p", "topP"), ("a", "a"), ("_", "")]
)
def test_keys_are_put_in_camel_case(key: str, told: str) -> None:
    assert camel(key) == told


def test_null_is_not_there() -> None:
    assert members({"a_b": 1, "c": None, "dE": False}, "x") == {"aB": 1, "dE": False}


def test_one_object_stands_for_a_list() -> None:
    assert items({"a": 1}, "x") == [{"a": 1}]
    assert items(None, "x") == []


@pytest.mark.parametrize(("told", "value"), [(3, 3), ("3", 3), (3.0, 3), ("3.0", 3), ("-7", -7)])
def test_whole_numbers_may_be_text(told: object, value: int) -> None:
    assert integer(told, "x") == value


@pytest.mark.parametrize(("told", "value"), [(0.5, 0.5), (1, 1), ("0.5", 0.5)])
def test_numbers_may_be_text(told: object, value: float) -> None:
    assert number(told, "x") == value


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (integer, "x"),
        (integer, 1.5),
        (integer, True),
        (integer, "9" * 30),
        (number, "x"),
        (number, True),
        (number, []),
        (boolean, 1),
        (text, 1),
        (texts, 1),
        (texts, [1]),
        (members, []),
        (items, 3),
    ],
)
def test_what_is_of_another_kind_is_refused_by_name(
    read: Callable[[object, str], object], told: object
) -> None:
    with pytest.raises(BadField) as refused:
        read(told, "some.field")

    assert refused.value.status == 400
    assert (refused.value.param or "").startswith("some.field")


def test_a_word_that_is_not_there_is_empty() -> None:
    assert word({}, "a", "x") == ""
    with pytest.raises(BadField, match=r"'x\.a'"):
        word({"a": 1}, "a", "x")


def test_members_that_nobody_reads_are_reported() -> None:
    losses = Losses()

    lose_rest({"a": 1, "b": 2}, frozenset("a"), "x", losses)

    assert [loss.field for loss in losses] == ["x.b"]


def test_what_cannot_be_read_is_a_value_error() -> None:
    assert isinstance(unreadable("x"), ValueError)
