from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.valuepaths import Missing, Omitted, Reference, descend, read_path, read_reference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def paths_of(value, here=()):
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_of(inner, (*here, str(key)))


def test_a_reference_is_a_source_a_path_and_what_stands_for_nothing():
    assert read_reference("user") == Reference("user", ())
    assert read_reference("user/a/0") == Reference("user", ("a", "0"))
    assert read_reference("query/limit|10") == Reference("query", ("limit",), "10")
    assert read_reference("query/limit|") == Reference("query", ("limit",), "")
    assert read_reference("user/a~1b/~0/").path == ("a/b", "~", "")


@pytest.mark.parametrize("text", ["", "/a", "1user", "user.name", "user/a~2", "us er", "user a/b"])
def test_what_is_no_reference_is_told(text):
    with pytest.raises(ValueError, match="is no"):
        read_reference(text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a/0/b", 1), ("/a/*/b", [1, 2]), ("/a/*/c/*", [[3, 4]]), ("/*", None), ("", None)],
)
def test_a_path_leads_into_lists_and_objects(path, expected):
    value = {"a": [{"b": 1}, {"b": 2, "c": [3, 4]}, "text"], "*": None}

    assert descend(value, read_path(path)) == (expected if path else value)


@pytest.mark.parametrize("path", ["/b", "/a/3", "/a/-1", "/a/01", "/a/x", "/a/0/b/c", "/a/9999999999"])
def test_a_path_may_lead_nowhere(path):
    with pytest.raises(Missing):
        Reference("user", read_path(path)).look_up({"user": {"a": [{"b": 1}, 2, 3]}})


def test_a_source_that_is_away_or_omitted_is_told():
    with pytest.raises(Missing) as away:
        Reference("user", ()).look_up({})
    with pytest.raises(Omitted) as omitted:
        Reference("user", ("a",)).look_up({"user": Omitted("user")})

    assert (away.value.source, omitted.value.source) == ("user", "user")


@given(JSON)
def test_every_place_of_a_value_is_reached_by_its_path(value):
    for path in paths_of(value):
        text = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)

        assert read_path(text) == path
        if "*" not in path:
            descend(value, path)
