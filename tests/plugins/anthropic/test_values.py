import pytest

from llmproxy.canonical import Losses
from llmproxy.plugin import BadField
from llmproxy_anthropic import values


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (values.a_text, "x", "x"),
        (values.a_text_or_nothing, None, ""),
        (values.a_list, [1], [1]),
        (values.an_object, {}, {}),
        (values.a_count, 3, 3),
        (values.a_count, 3.0, 3),
        (values.a_number, 0.5, 0.5),
        (values.a_truth, False, False),
    ],
)
def test_a_value_of_the_right_type_is_returned(reader, value, expected):
    assert reader(value, "here") == expected


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (values.a_text, None),
        (values.a_text_or_nothing, 1),
        (values.a_list, "x"),
        (values.an_object, []),
        (values.a_count, 3.5),
        (values.a_count, True),
        (values.a_number, "1"),
        (values.a_number, True),
        (values.a_truth, 1),
    ],
)
def test_another_type_is_told_of_by_its_place(reader, value):
    with pytest.raises(BadField, match=r"^here: Input should be a valid ") as caught:
        reader(value, "here")

    assert caught.value.param == "here"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(BadField) as caught:
        values.a_body(body)

    assert caught.value.code == "invalid_json"


def test_what_nobody_read_is_told():
    losses = Losses()
    values.tell_rest({"a": 1, "b": None, "c": 2}, ("a",), "here", losses)
    values.tell_rest({"d": 1}, (), "", losses)
    values.tell_rest({"e": 1}, (), "", None)

    assert [loss.field for loss in losses] == ["here.c", "d"]
