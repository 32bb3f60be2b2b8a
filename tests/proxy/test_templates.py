from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.references import Resolved
from llmproxy.templates import TextTemplate, ValueTemplate
from llmproxy.valuepaths import Missing, Omitted

VALUES = {
    "user": {"name": "Ada", "age": 36, "ok": True, "tags": ["a", "b"]},
    "gone": Omitted("gone"),
    "nil": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{user}}", "{user}"),
        ("{user/name} is {user/age}, {user/ok}", "Ada is 36, true"),
        ("{user/tags}", "a,b"),
        ("{user/email|nobody}", "nobody"),
        ("{gone/x|-}", "-"),
    ],
)
def test_a_text_is_filled(text, expected):
    assert TextTemplate(text).fill(VALUES) == expected


@pytest.mark.parametrize("text", ["{user/email}", "{user}", "{nil}", "{nobody}", "{gone}"])
def test_a_text_lacks_what_is_no_text(text):
    with pytest.raises(Missing):
        TextTemplate(text).fill(VALUES)


@pytest.mark.parametrize("text", ["{", "}", "{user", "user}", "{}", "{user{a}}", "{ user }"])
def test_braces_that_mean_nothing_are_told(text):
    with pytest.raises(ValueError, match=r"stands alone|is no reference"):
        TextTemplate(text)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({"n": "{user/age}", "who": "{user/name}!"}, {"n": 36, "who": "Ada!"}),
        ({"a": "{user/email}", "b": "x{user/email}"}, {"a": None, "b": None}),
        ({"a": "{gone}", "b": "x{gone}", "c": 1}, {"c": 1}),
        (["{gone}", "{user/ok}", 2, None], [True, 2, None]),
        ({"$merge": ["{user}", "{gone}", {"age": 37}, "{nil}"]}, {**VALUES["user"], "age": 37}),
        ({"$concat": ["{user/tags}", ["c"], "{nil}", "{gone}"]}, ["a", "b", "c"]),
        ({"$merge": ["{user}"], "x": 1}, {"$merge": [VALUES["user"]], "x": 1}),
        ("{user}", VALUES["user"]),
        (3.5, 3.5),
    ],
)
def test_a_value_is_built(template, expected):
    assert ValueTemplate(template).fill(VALUES) == expected


def test_a_strict_value_lacks_nothing():
    with pytest.raises(Missing):
        ValueTemplate({"a": ["{user/email}"]}, strict=True).fill(VALUES)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({"n": "{user/age}", "e": "{user/email}", "x": "to {user/email}"}, {"n": 36}),
        ({"a": {"b": "{user/email}"}, "c": ["{gone}"], "d": {}, "e": []}, {"d": {}, "e": []}),
        ({"n": "{user/x|7}", "t": "{user/x|true}", "z": "{user/x|null}", "w": "{user/x|seven}"},
         {"n": 7, "t": True, "z": None, "w": "seven"}),
        ({"n": "{user/age|7}", "text": "{user/x|7}!", "nil": "{nil}"}, {"n": 36, "text": "7!", "nil": None}),
        ("{user/x|[1]}", "[1]"),
    ],
)  # fmt: skip
def test_a_sparse_value_leaves_out_what_is_not_there(template, expected):
    assert ValueTemplate(template, sparse=True).fill(VALUES) == expected


def test_a_sparse_value_of_nothing_is_omitted():
    with pytest.raises(Omitted):
        ValueTemplate({"a": "{user/email}"}, sparse=True).fill(VALUES)


def test_what_came_from_the_environment_is_no_template():
    assert ValueTemplate([Resolved("{user}", "${env:X}")], sparse=True).fill(VALUES) == ["{user}"]


def test_its_references_are_known():
    shape = ValueTemplate({"a": ["{user/x} and {b/y|2}", {"c": "{d}"}]})

    assert [each.source for each in shape.references()] == ["user", "b", "d"]


def test_a_template_is_not_endlessly_deep():
    template: object = "x"
    for _ in range(40):
        template = [template]

    with pytest.raises(ValueError, match="more than 32"):
        ValueTemplate(template)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    )
)
def test_what_holds_no_braces_stays_as_it_is(value):
    def bare(item):
        if isinstance(item, str):
            return item.replace("{", "").replace("}", "").replace("$", "")
        if isinstance(item, list):
            return [bare(each) for each in item]
        return {bare(name): bare(each) for name, each in item.items()} if isinstance(item, dict) else item

    assert ValueTemplate(bare(value)).fill({}) == bare(value)
