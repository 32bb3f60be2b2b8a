from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.queries import edit_query


def lookup(kind: str, name: str) -> str | None:
    return {"id": "a&b=c d"}.get(name)


@pytest.mark.parametrize(
    ("query", "edits", "result"),
    [
        ("a=1&b=2&a=3", Edits(["a"]), "b=2"),
        ("%61=1&b=2", Edits(["a"]), "b=2"),
        ("a=1&b=%20+x", Edits(["c"]), "a=1&b=%20+x"),
        ("a=%31&b", Edits(rename={"a": "c d", "b": "e"}), "c%20d=%31&e"),
        ("a=1", Edits(set_={"a": "2", "b": "3"}), "a=2&b=3"),
        ("a=1", Edits(add={"a": "2"}), "a=1&a=2"),
        ("", Edits(set_={"a": "{path.id}"}), "a=a%26b%3Dc%20d"),
        ("a=1", Edits(set_={"a": "{path.none}"}), ""),
        ("a=1&&b=2", Edits(["b"]), "a=1"),
        ("a[]=1&a%5Bx%5D=1&ab=1", Edits(["a"]), "ab=1"),
        ("a[]=1", Edits(set_={"a": "2"}), "a=2"),
        ("b=1;a=2&c=3;d=4", Edits(["a"]), "b=1%3Ba=2&c=3;d=4"),
        (";a=1", Edits(set_={"a": "2"}), "%3Ba=1&a=2"),
    ],
)
def test_what_is_not_named_stays_as_it_was_written(query: str, edits: Edits, result: str) -> None:
    assert edit_query(query, edits, lookup) == result


@given(st.text(max_size=10), st.text(alphabet="ab=&%26+;", max_size=30))
def test_a_value_never_makes_another_parameter(value: str, query: str) -> None:
    result = edit_query(query, Edits(set_={"mine": "{path.id}"}), lambda kind, name: value)
    pairs = parse_qsl(result, keep_blank_values=True)

    assert [found for name, found in pairs if name == "mine"] == [value]
    assert len(pairs) == len(parse_qsl(query, keep_blank_values=True)) + 1
