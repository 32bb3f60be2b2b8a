from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmproxy.canonical import Losses
from llmproxy.plugin import BadField
from llmproxy_cohere import fields

READERS: list[tuple[Callable[..., Any], Any, Any]] = [
    (fields.text, "a", 1),
    (fields.required_text, "a", ""),
    (fields.number, 0.5, "1"),
    (fields.count, 2, 2.5),
    (fields.flag, True, 1),
    (fields.members, {"b": 1}, []),
    (fields.objects, [{}], [1]),
    (fields.texts, ["a"], "a"),
]


@pytest.mark.parametrize(("read", "good", "bad"), READERS)
def test_a_member_has_its_type_or_is_refused(read: Callable[..., Any], good: Any, bad: Any) -> None:
    assert read({"x": good}, "x") in (good, tuple(good) if isinstance(good, list) else good)
    with pytest.raises(BadField) as refused:
        read({"x": bad}, "x")
    assert refused.value.param == "x"


def test_a_whole_number_may_have_a_fraction_of_zero() -> None:
    assert fields.count({"x": 2.0}, "x") == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadField):
        fields.parsed(body)


def test_members_that_nobody_read_are_told_of() -> None:
    losses = Losses()

    fields.rest({"a": 1, "b": None, "c": 2}, frozenset({"a"}), "at.", losses)

    assert [loss.field for loss in losses] == ["at.c"]
