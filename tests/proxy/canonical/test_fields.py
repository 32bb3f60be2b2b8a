from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmproxy.canonical import Losses, fields
from llmproxy.plugin import BadField


def test_members_are_read_by_their_type() -> None:
    told: dict[str, Any] = {
        "s": "a",
        "n": 0.5,
        "i": 3,
        "f": 4.0,
        "b": False,
        "o": {},
        "l": [{}],
        "t": ["x", "y"],
    }

    assert fields.text(told, "s") == fields.required_text(told, "s") == "a"
    assert (fields.number(told, "n"), fields.number(told, "i")) == (0.5, 3)
    assert (fields.count(told, "i"), fields.count(told, "f")) == (3, 4)
    assert fields.flag(told, "b") is False
    assert (fields.members(told, "o"), fields.objects(told, "l")) == ({}, [{}])
    assert (fields.texts(told, "s"), fields.texts(told, "t")) == (("a",), ("x", "y"))


@pytest.mark.parametrize("told", [{}, {"x": None}])
def test_null_is_the_same_as_left_out(told: dict[str, Any]) -> None:
    assert fields.text(told, "x") == ""
    assert fields.number(told, "x") is fields.count(told, "x") is fields.flag(told, "x") is None
    assert fields.members(told, "x") is None
    assert fields.objects(told, "x") == []
    assert fields.texts(told, "x") == ()


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (fields.text, 1),
        (fields.required_text, ""),
        (fields.required_text, None),
        (fields.number, "1"),
        (fields.number, True),
        (fields.count, 1.5),
        (fields.count, True),
        (fields.flag, 1),
        (fields.members, []),
        (fields.objects, {}),
        (fields.objects, ["x"]),
        (fields.texts, [1]),
        (fields.texts, {}),
    ],
)
def test_another_type_is_refused_with_the_members_name(read: Callable[..., Any], value: object) -> None:
    with pytest.raises(BadField, match="'x' must be") as caught:
        read({"x": value}, "x")

    assert caught.value.param == "x"


def test_what_nobody_read_is_reported_unless_it_says_nothing() -> None:
    losses = Losses()
    fields.rest({"known": 1, "new": 2, "empty": None}, frozenset({"known"}), "messages[].", losses)

    assert [loss.field for loss in losses] == ["messages[].new"]
