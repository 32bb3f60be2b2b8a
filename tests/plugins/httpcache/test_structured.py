from __future__ import annotations

from decimal import Decimal

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.structured import BadStructure, Token, parse_dictionary, parse_list


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (b"", {}),
        (b"max-age=3600", {"max-age": 3600}),
        (b"no-store, max-age=10", {"no-store": True, "max-age": 10}),
        (b"a=1,\tb=?0 , c", {"a": 1, "b": False, "c": True}),
        (b'a="q\\"\\\\"', {"a": 'q"\\'}),
        (b"a=tok;x=1;y", {"a": Token("tok")}),
        (b"a=(1 2);q", {"a": (1, 2)}),
        (b"a=-1.5", {"a": Decimal("-1.5")}),
        (b"a=:aGk=:", {"a": b"hi"}),
        (b"a=@12", {"a": 12}),
        (b'a=%"f%c3%bc"', {"a": "fü"}),
        (b"a=1, b=2, a=3", {"b": 2, "a": 3}),
    ],
)
def test_a_dictionary_is_read(text: bytes, members: dict[str, object]) -> None:
    assert parse_dictionary(text) == members


@pytest.mark.parametrize(
    "text",
    [
        b"max-age =1",
        b"max-age= 1",
        b"Max-Age=1",
        b"a,",
        b"a,,b",
        b"a b",
        b"a=&&",
        b'a="',
        b'a="\x80"',
        b"a=1234567890123456",
        b"a=1.2345",
        b"a=1.",
        b"a=(1",
        b'a=("x""y")',
        b"a=?2",
        b"a=@1.5",
        b'a=%"%FF"',
        b"\ta",
    ],
)
def test_what_is_no_dictionary_is_refused(text: bytes) -> None:
    with pytest.raises(BadStructure):
        parse_dictionary(text)


def test_a_list_is_read() -> None:
    assert parse_list(b'"a", "b;c";p=1, d') == ["a", "b;c", Token("d")]


_SIGNS = st.sampled_from(list(b'abz*A0159-._=,;:"\\()?@%&/ \t\x7f\xc3'))
_PIECES = st.sampled_from(
    [
        b"a",
        b"max-age",
        b"=",
        b"1",
        b"?1",
        b'"x y"',
        b"tok",
        b"1.25",
        b", ",
        b",",
        b";p",
        b"(1 b)",
        b":aGk=:",
        b"@5",
    ]
)


def _ours(kind: str, text: bytes) -> object:
    try:
        return repr(parse_dictionary(text) if kind == "dictionary" else parse_list(text))
    except BadStructure:
        return None


def _plain(value: object) -> object:
    """Bring what the oracle gives into our form: parameters dropped, inner lists as tuples."""
    item = value[0] if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict) else value
    if isinstance(item, list):
        return tuple(_plain(member) for member in item)
    if isinstance(item, http_sf.Token):
        return Token(str(item))
    if hasattr(item, "timestamp"):
        return int(item.timestamp())
    return str(item) if isinstance(item, http_sf.DisplayString) else item


def _oracle(kind: str, text: bytes) -> object:
    try:
        parsed = http_sf.parse(text, tltype=kind)
    except Exception:
        return None
    if isinstance(parsed, dict):
        return repr({key: _plain(value) for key, value in parsed.items()})
    return repr([_plain(value) for value in parsed])  # type: ignore[union-attr]


@given(kind=st.sampled_from(["dictionary", "list"]), text=st.lists(_PIECES, max_size=12).map(b"".join))
def test_what_the_reference_reads_is_read_alike(kind: str, text: bytes) -> None:
    assert _ours(kind, text) == _oracle(kind, text)


@given(kind=st.sampled_from(["dictionary", "list"]), text=st.lists(_SIGNS, max_size=16).map(bytes))
def test_what_the_reference_refuses_is_refused(kind: str, text: bytes) -> None:
    assert _ours(kind, text) == _oracle(kind, text)
