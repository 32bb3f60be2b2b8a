from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import ConfigError
from llmproxy.valuepaths import descend
from llmproxy_declared.places import NOTHING, NOWHERE, BadAnswer, Place, kind_of

DOCUMENT = {"a": {"b": [{"c": "x"}, {"c": "y"}, {"d": 1}]}, "n": None, "0": 7, "t/u": "slash", "e": ""}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/a/b/0/c", "x"),
        ("/a/b/*/c", ["x", "y"]),
        ("/n", NOTHING),
        ("/a/b/9", NOTHING),
        ("/0", 7),
        ("/t~1u", "slash"),
        ("", DOCUMENT),
        (("/n", "/missing", "/0"), 7),
        (("/a/b/1/c", "/0"), "y"),
    ],
)
def test_a_place_gives_what_stands_there_first(given, expected):
    assert Place(given).find(DOCUMENT) is expected or Place(given).find(DOCUMENT) == expected


def test_a_place_that_is_not_named_is_false():
    assert not NOWHERE
    assert Place("")
    assert NOWHERE.find(DOCUMENT) is NOTHING


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("$.choices[0].message.content", "/choices/0/message/content"),
        ("choices[0].text", "/choices/0/text"),
        ("output", "/output"),
        ("$.output[*].text", "/output/*/text"),
        (".output", "/output"),
    ],
)
def test_other_ways_to_write_a_path_are_told_as_this_one(given, near):
    with pytest.raises(ConfigError) as caught:
        Place(given, "answer.text")

    assert caught.value.path == "answer.text"
    assert caught.value.suggestion == near


def test_what_is_no_path_at_all_is_refused():
    with pytest.raises(ConfigError, match="is no path"):
        Place("a b?", "text")


def test_text_is_joined_from_pieces_and_never_made_of_something_else():
    assert Place("/x").text_in({"x": ["a", "b"]}) == "ab"
    assert Place("/x").text_in({}) == ""
    for value in (7, True, {"a": 1}, ["a", 1]):
        with pytest.raises(BadAnswer, match=r"at /x, where text should stand"):
            Place("/x").text_in({"x": value})


def test_a_name_may_be_a_number_and_is_never_long():
    assert Place("/x").name_in({"x": 12}) == "12"
    assert Place("/x").name_in({"x": True}) == ""
    assert len(Place("/x").name_in({"x": "y" * 9999})) == 512


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_any_document_is_searched_without_a_fault(document):
    place = Place(("/a/*/b", "/0/x", ""))

    found = place.find(document)

    assert found is NOTHING or kind_of(found)


STEPS = st.sampled_from(["a", "b", "0", "1", "-1", "01", "*", "1" * 12, ""])
NESTED = st.recursive(
    st.none() | st.integers(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(STEPS, each, max_size=3),
    max_leaves=10,
)


@given(NESTED, st.lists(STEPS, max_size=4))
def test_a_place_is_found_as_any_path_of_the_gateways_is(document, steps):
    try:
        expected = descend(document, steps)
    except LookupError:
        expected = NOTHING

    found = Place("".join(f"/{step}" for step in steps)).find(document)

    assert found is (NOTHING if expected is None else expected) or found == expected
