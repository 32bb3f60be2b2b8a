import pytest

from llmproxy.plugin import BadField
from llmproxy_bedrock.values import (
    a_count,
    a_list,
    a_number,
    a_text,
    a_text_or_nothing,
    a_truth,
    an_object,
    the_one,
)


@pytest.mark.parametrize(
    ("reader", "good", "bad"),
    [
        (a_text, "x", 1),
        (a_text_or_nothing, "x", []),
        (a_list, [1], {}),
        (an_object, {}, []),
        (a_count, 3, 1.5),
        (a_count, 3, True),
        (a_number, 0.5, "1"),
        (a_number, 1, False),
        (a_truth, True, 1),
        (the_one, {"a": 1, "b": None}, {"a": 1, "b": 2}),
        (the_one, {"a": 1}, {}),
    ],
)
def test_a_value_of_another_kind_is_told_of_by_its_place(reader, good, bad):
    assert reader(good, "here") is not None
    with pytest.raises(BadField, match="'here'") as caught:
        reader(bad, "here")
    assert caught.value.param == "here"
