import pytest

from llmproxy.canonical import Losses
from llmproxy.canonical.values import Values, body_members, tell_rest
from llmproxy.plugin import BadField

VALUES = Values(lambda where, kind: f"{where}: no {kind}")


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (VALUES.text, "x", "x"),
        (VALUES.text_or_nothing, None, ""),
        (VALUES.items, [1], [1]),
        (VALUES.members, {}, {}),
        (VALUES.count, 3, 3),
        (VALUES.count, 3.0, 3),
        (VALUES.number, 0.5, 0.5),
        (VALUES.truth, False, False),
    ],
)
def test_a_value_of_the_right_type_is_returned(reader, value, expected):
    assert reader(value, "here") == expected


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (VALUES.text, None),
        (VALUES.text_or_nothing, 1),
        (VALUES.items, "x"),
        (VALUES.members, []),
        (VALUES.count, 3.5),
        (VALUES.count, True),
        (VALUES.number, "1"),
        (VALUES.number, True),
        (VALUES.truth, 1),
    ],
)
def test_another_type_is_told_of_by_its_place(reader, value):
    with pytest.raises(BadField, match=r"^here: no ") as caught:
        reader(value, "here")

    assert caught.value.param == "here"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(BadField) as caught:
        body_members(body)

    assert caught.value.code == "invalid_json"


def test_what_nobody_read_is_told():
    losses = Losses()
    tell_rest({"a": 1, "b": None, "c": 2}, ("a",), "here", losses)
    tell_rest({"d": 1}, (), "", losses)
    tell_rest({"e": 1}, (), "", None)

    assert [loss.field for loss in losses] == ["here.c", "d"]
