import pytest

from llmproxy.plugin import BadField
from llmproxy_anthropic.values import a_count, a_list, a_text, an_object, refuse


@pytest.mark.parametrize(
    ("reader", "value", "kind"),
    [(a_text, None, "string"), (a_list, "x", "list"), (an_object, [], "object"), (a_count, 3.5, "integer")],
)
def test_another_type_is_told_of_by_its_place_in_anthropics_words(reader, value, kind):
    with pytest.raises(BadField, match=rf"^here: Input should be a valid {kind}\.$") as caught:
        reader(value, "here")

    assert caught.value.param == "here"


def test_anything_else_is_told_likewise():
    with pytest.raises(BadField, match=r"^here: Input should be one of two\.$"):
        refuse("here", "Input should be one of two")
