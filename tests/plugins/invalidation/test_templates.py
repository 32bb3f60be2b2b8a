from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_invalidation.templates import MOST_NAMES, Template, Unfilled, find

EVENT = {
    "id": 7,
    "kind": "product",
    "data": {"ids": ["a", "b"], "deep": {"er": "x"}},
    "flag": True,
    "no": None,
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("products", ["products"]),
        ("product:{id}", ["product:7"]),
        ("{kind}:{id}", ["product:7"]),
        ("{data.deep.er}", ["x"]),
        ("p:{data.ids}", ["p:a", "p:b"]),
        ("{data.ids}{data.ids}", ["aa", "ab", "ba", "bb"]),
        ("{{{id}}}", ["{7}"]),
    ],
)
def test_a_template_is_filled_with_the_events_fields(text: str, names: list[str]) -> None:
    assert Template(text).fill(EVENT) == names


@pytest.mark.parametrize("text", ["{missing}", "{data}", "{flag}", "{no}", "{kind.more}", "{data.missing}"])
def test_a_field_that_is_no_name_is_told(text: str) -> None:
    with pytest.raises(Unfilled, match="no text or number"):
        Template(text).fill(EVENT)


@pytest.mark.parametrize("value", [[], [""], ["a", None], [["a"]], {}])
def test_a_list_has_to_be_one_of_names(value: Any) -> None:
    with pytest.raises(Unfilled):
        Template("{ids}").fill({"ids": value})


def test_an_event_makes_a_bounded_number_of_names() -> None:
    many = {"ids": list(range(MOST_NAMES + 1))}

    assert len(Template("{ids}").fill({"ids": many["ids"][1:]})) == MOST_NAMES
    with pytest.raises(Unfilled, match="more than"):
        Template("{ids}").fill(many)


@pytest.mark.parametrize("text", ["{", "}", "a{b", "{}", "{a b}", "{a..b}", "{a{b}}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no field|stands alone"):
        Template(text)


@given(st.text(max_size=30))
def test_a_text_with_its_braces_doubled_is_itself(text: str) -> None:
    assert Template(text.replace("{", "{{").replace("}", "}}")).fill({}) == [text]


def test_a_field_is_found_inside_others() -> None:
    assert find(EVENT, "data.deep") == {"er": "x"}
    assert find(EVENT, "id.more") is None
