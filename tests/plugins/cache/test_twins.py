"""Bodies that say a thing twice."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_cache.twins import has_twins


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"m":[{"role":"user","content":"x","content":"y"}]}',
        b'{"a":{"b":1 , "b" : 2}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":"' + b"x" * 300_000 + b'"}',
    ],
)
def test_twins_are_found_wherever_they_stand(body: bytes) -> None:
    assert has_twins(body)


@pytest.mark.parametrize(
    "body",
    [b'{"a":{"a":1},"b":{"a":1}}', b'[{"a":1},{"a":1}]', b'{"a":"\\"a\\":","b":["a","a"]}', b"", b"}{", b'"'],
)
def test_what_only_looks_like_twins_passes(body: bytes) -> None:
    assert not has_twins(body)


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["C"]))


@given(st.recursive(st.none() | PLAIN, lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner)))
def test_a_body_that_was_written_from_an_object_has_none(value: Any) -> None:
    assert not has_twins(orjson.dumps(value))
