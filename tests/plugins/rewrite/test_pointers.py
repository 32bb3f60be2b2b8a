from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import JsonFault
from llmproxy_rewrite.pointers import Unfit, read_pointer, remove, rename, set_value


def at(text: str) -> tuple[str, ...]:
    return read_pointer(text)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("/a", ("a",)),
        ("/a/0/-", ("a", "0", "-")),
        ("/a~1b/~0", ("a/b", "~")),
        ("/", ("",)),
        ("/~01", ("~1",)),
    ],
)
def test_a_pointer_is_read(text: str, steps: tuple[str, ...]) -> None:
    assert read_pointer(text) == steps


@pytest.mark.parametrize("text", ["", "a", "/~", "/~2", "/a" * 33])
def test_what_is_no_pointer_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="pointer"):
        read_pointer(text)


@pytest.mark.parametrize(
    ("body", "pointer", "result"),
    [
        (b'{"a": 1, "b": 2}', "/a", b'{"a": true, "b": 2}'),
        (b'{"a": 1}', "/b", b'{"a": 1,"b":true}'),
        (b"{}", "/a/b/c", b'{"a":{"b":{"c":true}}}'),
        (b' {"a": {"b": [1, 2]}}\n', "/a/b/1", b' {"a": {"b": [1, true]}}\n'),
        (b'{"a": [ ]}', "/a/-", b'{"a": [ true]}'),
        (b'{"a": [1]}', "/a/-", b'{"a": [1,true]}'),
        (b"[1, {}]", "/1/x", b'[1, {"x":true}]'),
        (b'{"a/b": 1}', "/a~1b", b'{"a/b": true}'),
        (b'{"\\u0061": 1}', "/a", b'{"\\u0061": true}'),
        (b'{"a": {"x": "}"}}', "/a/y", b'{"a": {"x": "}","y":true}}'),
        ('{"\u00fc": 1}'.encode(), "/\u00fc", '{"\u00fc": true}'.encode()),
    ],
)
def test_a_value_is_set_and_nothing_else_changes(body: bytes, pointer: str, result: bytes) -> None:
    assert set_value(body, at(pointer), True) == result


@pytest.mark.parametrize(("body", "result"), [(b'{"a": null}', b'{"a": null}'), (b"{}", b'{"a":true}')])
def test_a_default_is_for_what_is_missing(body: bytes, result: bytes) -> None:
    assert set_value(body, at("/a"), True, only_missing=True) == result


@pytest.mark.parametrize(
    ("body", "pointer"),
    [(b'{"a": 1}', "/a/b"), (b'{"a": []}', "/a/0"), (b'{"a": []}', "/a/x"), (b'"text"', "/a"), (b"1", "/0")],
)
def test_what_can_hold_no_such_member_is_told(body: bytes, pointer: str) -> None:
    with pytest.raises(Unfit):
        set_value(body, at(pointer), 1)


@pytest.mark.parametrize("body", [b"{}", b'{"a": 1}'])
def test_what_is_no_text_is_told(body: bytes) -> None:
    with pytest.raises(Unfit, match="no text"):
        set_value(body, at("/a"), "\udcff")


@pytest.mark.parametrize(
    ("body", "pointer", "result"),
    [
        (b'{"a": 1, "b": 2}', "/a", b'{"b": 2}'),
        (b'{"a": 1, "b": 2}', "/b", b'{"a": 1}'),
        (b'{ "a" : 1 }', "/a", b"{  }"),
        (b'{"a": [1, 2, 3]}', "/a/1", b'{"a": [1, 3]}'),
        (b'{"a": [1, 2 ]}', "/a/1", b'{"a": [1 ]}'),
        (b'{"a": {"b": 1}}', "/a/b", b'{"a": {}}'),
        (b'{"a": 1}', "/b", b'{"a": 1}'),
        (b'{"a": 1}', "/a/b/c", b'{"a": 1}'),
    ],
)
def test_a_value_is_taken_out_with_its_comma(body: bytes, pointer: str, result: bytes) -> None:
    assert remove(body, at(pointer)) == result


def test_a_member_gets_another_name_and_keeps_its_place() -> None:
    assert rename(b'{"a" : [1], "b": 2}', at("/a"), "c") == b'{"c" : [1], "b": 2}'
    assert rename(b'{"x": {"a": 1}}', at("/x/a"), 'q"') == b'{"x": {"q\\"": 1}}'
    assert rename(b'{"b": 2}', at("/a"), "c") == b'{"b": 2}'


@pytest.mark.parametrize(("body", "pointer"), [(b'{"a": 1, "c": 2}', "/a"), (b'["x"]', "/0")])
def test_a_name_that_is_taken_or_none_is_told(body: bytes, pointer: str) -> None:
    with pytest.raises(Unfit):
        rename(body, at(pointer), "c")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b'{"a": 1} x',
        b"[1",
        b"nul",
        b'{"a": "\xff"}',
        b'{"a": 1, "a": 2}',
        b"[" * 5000,
    ],
)
def test_what_is_no_json_or_says_a_thing_twice_is_never_changed(body: bytes) -> None:
    for change in (lambda: set_value(body, at("/a"), 1), lambda: remove(body, at("/a"))):
        with pytest.raises(JsonFault):
            change()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "0", "-", "/~"]), inner, max_size=3)
    ),
    max_leaves=8,
)
STEPS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "/~"]), min_size=1, max_size=3).map(tuple)


@given(JSON, STEPS, st.booleans())
def test_a_document_after_a_change_is_what_it_would_be_in_memory(
    document: Any, steps: tuple[str, ...], pretty: bool
) -> None:
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if pretty else 0)
    try:
        after = set_value(body, steps, "new")
    except Unfit:
        return

    found = orjson.loads(after)
    for step in steps:
        found = found[-1 if step == "-" else int(step)] if isinstance(found, list) else found[step]
    assert found == "new"
    if steps[-1] != "-":
        gone = orjson.loads(remove(after, steps))
        assert orjson.loads(remove(body, steps)) == gone or gone is not None
