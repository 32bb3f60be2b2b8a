from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_rewrite.templates import Missing, Shape, Source, Template


def lookup(**known: str) -> Callable[[str, str], str | None]:
    return lambda kind, name: known.get(f"{kind}_{name}")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{a}}", "{a}"),
        ("/u/{path.id}/x", "/u/7/x"),
        ("{query.q}{path.id}", "find7"),
        ("{query.none|else}", "else"),
        ("{query.none|}", ""),
        ("{query.none|a|b}", "a|b"),
        ("{query.none}", None),
        ("a{query.none}b", None),
    ],
)
def test_placeholders_are_filled(text: str, filled: str | None) -> None:
    assert Template(text).fill(lookup(path_id="7", query_q="find")) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{}",
        "{path}",
        "{path.}",
        "{env.HOME}",
        "{caller.secret}",
        "{request.body}",
        "{path.a b}",
        "{a.b.c}",
    ],
)
def test_what_is_no_placeholder_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|alone|unknown"):
        Template(text)


def test_a_header_is_named_in_any_case() -> None:
    assert Template("{header.X-User}").sources == [Source("header", "x-user", None)]


def test_a_value_is_quoted_where_it_is_put_and_the_text_around_it_is_not() -> None:
    filled = Template("/a b/{path.id}").fill(
        lookup(path_id="x/y"), lambda value, source: value.replace("/", "%2F")
    )

    assert filled == "/a b/x%2Fy"


def test_a_value_is_never_read_as_a_template() -> None:
    assert Template("{path.id}").fill(lookup(path_id="{header.authorization}")) == "{header.authorization}"


def test_strings_of_a_shape_are_templates() -> None:
    shape = Shape({"user": "{path.id}", "list": [1, None, "{{x}}"], "n": 1.5, "on": True})

    assert shape.fill(lookup(path_id="7")) == {"user": "7", "list": [1, None, "{x}"], "n": 1.5, "on": True}
    assert [source.name for source in shape.sources] == ["id"]


def test_a_shape_lacks_what_it_lacks() -> None:
    with pytest.raises(Missing):
        Shape([{"a": "{path.id}"}]).fill(lookup())


@given(st.text())
def test_any_text_with_its_braces_doubled_is_itself(text: str) -> None:
    assert Template(text.replace("{", "{{").replace("}", "}}")).fill(lookup()) == text
