from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_validation.parameters import ABSENT, REPEATED, Parameter, cookie_pairs, query_pairs, typed


def kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


def parameter(style: str = "form", kind: str = "string", *, explode: bool = False, **more: Any) -> Parameter:
    members = {"r": kinds("integer"), "g": kinds("integer")}
    return Parameter("c", "query", False, style, explode, kinds(kind), kinds("integer"), members, **more)


@pytest.mark.parametrize(
    ("reads", "query", "value"),
    [
        (parameter(), "c=x", "x"),
        (parameter(), "c=", ""),
        (parameter(), "d=x", ABSENT),
        (parameter(kind="integer"), "c=7", 7),
        (parameter(kind="integer"), "c=1&c=2", REPEATED),
        (parameter(kind=""), "c=1&c=2", REPEATED),
        (parameter(kind="array"), "c=x&c=1", REPEATED),
        (parameter(kind="object"), "c=r,1,r,2", REPEATED),
        (parameter(kind="object", explode=True), "r=1&r=2", REPEATED),
        (parameter("deepObject", "object", explode=True), "c[r]=x&c[r]=1", REPEATED),
        (parameter(is_json=True), "c=1&c=2", REPEATED),
        (parameter(is_json=True), "c=%7B%22a%22:1,%22a%22:2%7D", REPEATED),
        (parameter(kind="array", explode=True), "c=1&c=2", [1, 2]),
        (parameter(kind="array"), "c=1,2,x", [1, 2, "x"]),
        (parameter("spaceDelimited", "array"), "c=1%202", [1, 2]),
        (parameter("pipeDelimited", "array"), "c=1|2", [1, 2]),
        (parameter(kind="object"), "c=r,100,g,200", {"r": 100, "g": 200}),
        (parameter(kind="object", explode=True), "r=100&g=200&x=1", {"r": 100, "g": 200}),
        (parameter(kind="object", explode=True), "x=1", ABSENT),
        (parameter("deepObject", "object", explode=True), "c[r]=100&c[g]=x&d[r]=1", {"r": 100, "g": "x"}),
        (parameter("deepObject", "object", explode=True), "c=1", ABSENT),
        (parameter("simple", "array"), "c=1,2", [1, 2]),
        (parameter("simple", "object", explode=True), "c=r=100,g=200", {"r": 100, "g": 200}),
        (parameter(is_json=True), "c=%7B%22a%22:1%7D", {"a": 1}),
        (parameter(is_json=True), "c=%7B", "{"),
    ],
)
def test_a_parameter_is_read_by_its_style(reads: Parameter, query: str, value: Any) -> None:
    assert reads.read(query_pairs(query)) == value


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("7", "integer", 7),
        ("-0", "integer", 0),
        ("07", "integer", "07"),
        ("7.0", "integer", "7.0"),
        ("\u0667", "integer", "\u0667"),
        ("9" * 40, "integer", "9" * 40),
        ("1e3", "number", 1000.0),
        ("nan", "number", "nan"),
        ("Infinity", "number", "Infinity"),
        ("true", "boolean", True),
        ("True", "boolean", "True"),
        ("", "null", None),
        ("", "null string", ""),
        ("7", "string", "7"),
        ("7", "", "7"),
    ],
)
def test_a_text_is_what_is_wanted_or_itself(text: str, wanted: str, value: Any) -> None:
    found = typed(text, kinds(wanted))

    assert (type(found), found) == (type(value), value)


def test_queries_and_cookies_are_read() -> None:
    assert query_pairs("a=1&b&%63=a+b%2B&&") == [("a", "1"), ("b", ""), ("c", "a b+")]
    assert cookie_pairs("a=1; b=x=y; c") == [("a", "1"), ("b", "x=y")]


STYLES = ["form", "spaceDelimited", "pipeDelimited", "deepObject", "simple"]


@given(
    st.text(max_size=40),
    st.sampled_from(STYLES),
    st.sampled_from(["string", "array", "object", "number"]),
    st.booleans(),
)
def test_any_query_is_read(query: str, style: str, kind: str, explode: bool) -> None:
    parameter(style, kind, explode=explode).read(query_pairs("c=" + query))
