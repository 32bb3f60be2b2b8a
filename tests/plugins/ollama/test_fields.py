from __future__ import annotations

import pytest

from llmproxy.canonical import Losses
from llmproxy.plugin import BadRequest
from llmproxy_ollama import fields


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.text, "x", "x"),
        (fields.text, None, ""),
        (fields.number, 1, 1),
        (fields.number, None, None),
        (fields.count, 2.0, 2),
        (fields.count, None, None),
        (fields.flag, False, False),
        (fields.members, None, {}),
        (fields.members, {"a": 1}, {"a": 1}),
        (fields.objects, None, []),
        (fields.objects, [{}], [{}]),
        (fields.texts, "x", ("x",)),
        (fields.texts, ["x", "y"], ("x", "y")),
        (fields.texts, None, ()),
    ],
)
def test_a_member_is_read_as_its_type(read, value, expected):
    assert read({"k": value}, "k") == expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (fields.text, 1),
        (fields.number, True),
        (fields.number, "1"),
        (fields.count, 1.5),
        (fields.flag, 0),
        (fields.members, []),
        (fields.objects, {}),
        (fields.objects, [1]),
        (fields.texts, [1]),
    ],
)
def test_another_type_is_refused_by_its_path(read, value):
    with pytest.raises(BadRequest, match=r"'at\.k' must be"):
        read({"k": value}, "k", "at.")


def test_what_nobody_read_is_reported_if_it_says_something():
    losses = Losses()
    fields.lose_rest({"a": 1, "b": 1, "c": None}, frozenset({"a"}), "at.", losses)

    assert [loss.field for loss in losses] == ["at.b"]
