from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_validation.bodies import DEEPEST, BadJson, read_json

JSON = st.recursive(
    st.none() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.booleans())
def test_any_document_is_read(document: Any, pretty: bool) -> None:
    assert read_json(orjson.dumps(document, option=orjson.OPT_INDENT_2 if pretty else 0)) == document


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not valid"),
        (b"{", "not valid"),
        (b'{"a":1} {}', "not valid"),
        (b'"\xff"', "not valid"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":1,"\\u0061":2}', "twice"),
        (b'[{"x":{"a:":1,"a:":1}}]', "twice"),
        (b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), "deeper"),
        (b"[" * 5000 + b"]" * 5000, "not valid"),
    ],
)
def test_what_readers_may_disagree_on_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BadJson, match=why):
        read_json(body)


def test_depth_is_bounded_and_not_less() -> None:
    assert read_json(b"[" * DEEPEST + b"]" * DEEPEST) is not None
    assert read_json(b'{"a":"\\":\\\\","b:":":"}') == {"a": '":\\', "b:": ":"}


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read_json(body)
    except BadJson as fault:
        told = str(fault)
        assert told.startswith(("is ", "holds "))  # either is right
