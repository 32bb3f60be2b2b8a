from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.queries import Bounds, Query, names_parameters, read_get, read_post

JSON = (b"application/json", b"")


def _post(text: str | bytes | None = None, **members: Any) -> Query:
    if isinstance(text, bytes):
        return read_post(text, JSON, Bounds())
    return read_post(orjson.dumps({"query": text, **members} if text else members), JSON, Bounds())


def _get(**parameters: str) -> Query:
    found = read_get("&".join(f"{name}={quote(value)}" for name, value in parameters.items()), Bounds())
    assert found is not None
    return found[0]


def _persisted(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}


def test_equal_meanings_have_one_form() -> None:
    form = _post("query A($x: Int) { a(x: $x) }", variables={"x": 1, "y": {"b": 1, "a": 2}}).form
    body = b'{"variables": {"y": {"a":2, "b":1}, "x":1},\n"query":"query A($x:Int){a(x:$x) # c\\n}"}'

    assert _post(body).form == form
    assert _get(query="query A($x:Int){a(x:$x)}", variables='{"y":{"a":2,"b":1},"x":1}').form == form
    assert _post("{a}", variables={}, extensions={}).form == _post("{a}").form == _get(query="{a}").form


@pytest.mark.parametrize(
    "other",
    [
        {"variables": {"x": 2}},
        {"variables": {"x": 1.0}},
        {"operationName": "A"},
        {"extensions": {"tracing": True}},
        {"Query": "{b}"},
        {"id": 1},
    ],
)
def test_any_other_meaning_has_another(other: dict[str, Any]) -> None:
    known = {"variables": {"x": 1}}

    assert (
        _post("query A($x:Int){a(x:$x)}", **{**known, **other}).form
        != _post("query A($x:Int){a(x:$x)}", **known).form
    )


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("{a}", None, "query"),
        ("mutation {a}", None, "unsafe"),
        ("subscription {a}", None, "safe"),
        ("query A {a} mutation B {b}", "A", "query"),
        ("query A {a} mutation B {b}", "B", "unsafe"),
        ("query A {a} mutation B {b}", None, "unsafe"),
        ("query A {a} query B {b}", None, "safe"),
        ("query A {a}", "B", "safe"),
        ("nothing", None, "unsafe"),
        ("fragment F on X {a}", None, "unsafe"),
    ],
)
def test_what_may_change_something_is_told_from_what_does_not(text: str, name: str | None, kind: str) -> None:
    assert _post(text, operationName=name).kind == kind


@pytest.mark.parametrize(
    "body",
    [
        b'{"query":"mutation{a}","query":"{a}"}',
        b'{"qu\\u0065ry":"mutation{a}","query":"{a}"}',
        b"{",
        b"5",
        b'{"a":1}',
        b'{"query":5}',
        b'{"query":"{a}","variables":{"x":1,"x":2}}',
        b'[{"query":"{a}"},{"query":"mutation{a}"}]',
    ],
)
def test_what_two_servers_could_read_in_two_ways_may_change_something(body: bytes) -> None:
    assert _post(body).kind == "unsafe"


def test_a_batch_of_queries_changes_nothing_and_is_not_stored() -> None:
    assert _post(b' [{"query":"{a}"}, {"query":"{b}"}]').kind == "safe"


@pytest.mark.parametrize(
    "described",
    [(b"text/plain", b""), (b"", b""), (b"application/json", b"gzip"), (b"multipart/form-data", b"")],
)
def test_what_is_not_json_as_it_stands_may_change_something(described: tuple[bytes, bytes]) -> None:
    assert read_post(b'{"query":"{a}"}', described, Bounds()).kind == "unsafe"
    assert (
        read_post(b'{"query":"{a}"}', (b'application/JSON; charset="UTF-8"', b""), Bounds()).kind == "query"
    )


def test_what_is_too_long_or_deep_is_passed_on() -> None:
    assert read_post(b'{"query":"{a}"}', JSON, Bounds(length=10)).why == "size"
    assert read_post(b'{"query":"{a{b}}"}', JSON, Bounds(depth=1)).why == "document"
    assert read_get("query={a}", Bounds(length=3)) == (Query("safe", why="size"), "")


def test_a_persisted_query_is_known_by_its_digest() -> None:
    text = "query A { a }"
    extensions = _persisted(text)
    by_hash = _get(operationName="A", extensions=orjson.dumps(extensions).decode())

    assert (by_hash.kind, by_hash.hash) == ("query", extensions["persistedQuery"]["sha256Hash"])
    assert _post(extensions=extensions).kind == "hashed"
    told = _post(text, extensions=extensions)
    assert (told.hash, told.text, told.form) == (by_hash.hash, text, _post(text).form)


def test_a_digest_that_is_anothers_is_believed_by_nobody() -> None:
    lied = _post("{a}", extensions=_persisted("{b}"))

    assert (lied.hash, lied.text) == ("", "")
    assert lied.form != _post("{a}").form


@pytest.mark.parametrize(
    "extensions", [{"persistedQuery": {"version": 2, "sha256Hash": "a" * 64}}, {"a": 1}, [1], {}]
)
def test_other_extensions_stand_for_no_document(extensions: Any) -> None:
    assert _post(extensions=extensions).kind == "unsafe"


def test_parameters_that_are_not_graphqls_stay_in_the_target() -> None:
    found = read_get("lang=de&query=%7Ba%7D&v=1", Bounds())

    assert found is not None
    assert found[1] == "lang=de&v=1"
    assert read_get("lang=de", Bounds()) is None


def test_a_parameter_given_twice_is_not_stored() -> None:
    assert _get_raw("query={a}&query={b}").why == "unreadable"
    assert _get_raw("query=%ff").why == "unreadable"
    assert _get_raw("query={a}&variables={").why == "unreadable"
    assert _get_raw("query=mutation{a}").kind == "unsafe"


def test_a_plus_may_be_a_blank_and_may_not() -> None:
    plus, blank = _get_raw("query={a(x:%221+1%22)}"), _get_raw("query={a(x:%221%201%22)}")

    assert plus.kind == blank.kind == "query"
    assert plus.form != blank.form


def _get_raw(query: str) -> Query:
    found = read_get(query, Bounds())
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("query", "named"), [("query=%7Ba%7D", True), ("a=1&qu%65ry=x", True), ("a=query", False), ("", False)]
)
def test_a_post_whose_target_says_something_too_is_seen(query: str, named: bool) -> None:
    assert names_parameters(query) == named


_VARIABLES = st.dictionaries(
    st.sampled_from("abc"), st.integers(-9, 9) | st.text(max_size=3) | st.none(), max_size=3
)


@given(one=_VARIABLES, other=_VARIABLES)
def test_variables_are_told_apart_by_any_difference_but_their_order(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    forms = [_post("{a}", variables=dict(reversed(each.items()))).form for each in (one, other)]

    assert (forms[0] == forms[1]) == (one == other)
    assert _post("{a}", variables=one).form == _get(query="{a}", variables=orjson.dumps(one).decode()).form
