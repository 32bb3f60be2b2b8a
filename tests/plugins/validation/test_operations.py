from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import Headers
from llmproxy_validation.operations import Media, Operation, is_utf8, judge_body, media_of
from llmproxy_validation.parameters import Parameter
from llmproxy_validation.schemas import Checker

NUMBER = frozenset({"integer"})


def parameter(place: str, *, required: bool = False, name: str = "n") -> tuple[Parameter, Checker | None]:
    style = "form" if place in ("query", "cookie") else "simple"
    made = Parameter(name, place, required, style, style == "form", NUMBER, frozenset(), {})
    return made, Checker({"type": "integer", "maximum": 9})


@pytest.mark.parametrize(
    ("place", "given"),
    [
        ("path", {"path": {"n": "10"}}),
        ("query", {"query": "n=10"}),
        ("header", {"headers": {"N": "10"}}),
        ("cookie", {"headers": {"Cookie": "a=1; n=10"}}),
    ],
)
def test_a_parameter_is_judged_where_it_stands(place: str, given: dict[str, Any]) -> None:
    operation = Operation("x", (parameter(place),))
    asked = (given.get("path", {}), given.get("query", ""), Headers.of(given.get("headers", {})))

    assert [fault.sentence for fault in operation.judge_parameters(*asked, 5)] == [
        f"{place}/n must be 9 at most"
    ]
    assert operation.judge_parameters({}, "", Headers(), 5) == []


def test_what_is_required_is_told_and_no_more_than_wanted() -> None:
    operation = Operation("x", tuple(parameter("query", required=True, name=name) for name in "abc"))

    assert [fault.pointer for fault in operation.judge_parameters({}, "", Headers(), 2)] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ("n=1", False),
        ("", False),
        ("d[a]=1", False),
        ("d[a][b]=1", False),
        ("d=1", False),
        ("n[$ne]=1", True),
        ("m=1", True),
        ("n=1&N=2", True),
    ],
)
def test_what_is_not_declared_is_seen(query: str, unknown: bool) -> None:
    number, checker = parameter("query")
    deep = number._replace(name="d", style="deepObject")

    operation = Operation("x", ((number, checker), (deep, None), parameter("header", name="m")))

    assert operation.unknown_query(query) is unknown


def test_a_parameter_that_is_there_twice_is_refused_as_readers_may_take_either() -> None:
    operation = Operation("x", (parameter("query"), parameter("cookie", name="c")))
    faults = operation.judge_parameters({}, "n=1&n=2", Headers.of({"Cookie": "c=1; c=2"}), 5)

    assert [fault.sentence for fault in faults] == [
        "query/n is there more than once",
        "cookie/c is there more than once",
    ]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("n=1", []),
        ("n=1&x=a;b&x[n]=1", []),
        ("d[n]=99&d%5Bm%5D=1", []),
        ("x=1;n=99", ["query/n"]),
        ("n=1&x=1;n=99", ["query/n"]),
        ("n[]=99", ["query/n"]),
        ("n%5Ba%5D=99", ["query/n"]),
    ],
)
def test_a_parameter_that_only_some_readers_find_is_refused(query: str, told: list[str]) -> None:
    number, checker = parameter("query")
    deep = number._replace(name="d", style="deepObject", kinds=frozenset({"object"}))
    faults = Operation("x", ((number, checker), (deep, None))).judge_parameters({}, query, Headers(), 5)

    assert [fault.place + fault.pointer for fault in faults] == told


def test_a_form_of_very_many_fields_takes_no_longer_than_it_is_long() -> None:
    form = b"&".join([b"n"] * 200_000)

    assert judge_body(MEDIA, "application/x-www-form-urlencoded", form, 1)  # would take minutes


@pytest.mark.parametrize(("status", "found"), [(200, "a"), (201, "b"), (404, "c")])
def test_an_answer_is_declared_by_status_class_or_default(status: int, found: str) -> None:
    replies: Any = {"200": "a", "2XX": "b", "default": "c"}

    assert Operation("x", replies=replies).reply_content(status) == found


def test_an_answer_may_not_be_declared() -> None:
    assert Operation("x", replies={"200": {}}).reply_content(404) is None


@pytest.mark.parametrize(
    ("kind", "declared"),
    [("application/json; charset=utf-8", "a"), ("TEXT/plain", "b"), ("image/png", "c")],
)
def test_a_kind_is_declared_by_itself_or_by_a_range(kind: str, declared: str) -> None:
    content: Any = {"application/json": "a", "text/*": "b", "*/*": "c"}

    assert media_of(content, kind) == declared
    assert media_of({"application/json": Media()}, "text/plain") is None


@pytest.mark.parametrize(
    ("kind", "judged"),
    [
        ("application/json", True),
        ('application/json; Charset="UTF-8"; v=1', True),
        ("application/json; charset=utf-7", False),
        ("application/json; charset=utf-8; charset=utf-16", False),
        ("text/plain;charset = latin-1", False),
    ],
)
def test_a_body_is_judged_as_utf_8_alone(kind: str, judged: bool) -> None:
    assert is_utf8(kind) is judged


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "l": {"type": "array", "maxItems": 1}},
    "required": ["n"],
}
MEDIA = Media(Checker(SCHEMA), {"n": NUMBER, "l": frozenset({"array"})})


@pytest.mark.parametrize(
    ("kind", "body", "details"),
    [
        ("application/json", b'{"n":1}', []),
        ("application/json", b'{"n":"1"}', ["must be of type integer"]),
        ("application/problem+json", b"{}", ["lacks 'n'"]),
        ("application/json", b"{", ["is not valid JSON"]),
        ("application/json", b'{"n":"x","n":1}', ["holds a member twice"]),
        ("application/x-www-form-urlencoded", b"n=1&l=a", []),
        (
            "application/x-www-form-urlencoded",
            b"n=x&l=a&l=b",
            ["must be of type integer", "must have 1 items at most"],
        ),
        ("application/x-www-form-urlencoded", b"n=1&n=2", ["is there more than once"]),
        ("text/plain", b"x", []),
    ],
)
def test_json_and_forms_are_looked_into(kind: str, body: bytes, details: list[str]) -> None:
    assert sorted(fault.detail for fault in judge_body(MEDIA, kind, body, 5)) == sorted(details)


def test_a_kind_without_a_schema_is_taken_as_it_is() -> None:
    assert judge_body(Media(), "application/json", b"{", 5) == ()
