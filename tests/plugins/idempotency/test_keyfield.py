from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Headers
from llmproxy_idempotency.keyfield import LONGEST, IdempotencyKey, MalformedKey, read_key

NAME = b"idempotency-key"


def read(*values: bytes) -> IdempotencyKey | None:
    return read_key(Headers([(b"Host", b"x"), *((b"Idempotency-Key", value) for value in values)]), NAME)


def test_no_field_is_no_key() -> None:
    assert read() is None


@pytest.mark.parametrize(
    ("value", "text", "quoted"),
    [
        (b"8e03978e-40d5", b"8e03978e-40d5", False),
        (b'"8e03978e-40d5"', b"8e03978e-40d5", True),
        (b' "a b" ', b"a b", True),
        (b'"a\\"b\\\\c"', b'a"b\\c', True),
        (b'"a";version=2', b"a", True),
        (b"order:7/2024_x~", b"order:7/2024_x~", False),
    ],
)
def test_a_key_comes_bare_or_as_a_string(value: bytes, text: bytes, quoted: bool) -> None:
    assert read(value) == IdempotencyKey(text, quoted)


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b'""', b'" "', b"a b", b"a,b", b'"a" "b"', b'"a', b'a"b"', b'"a\\b"', b"\xc3\xa9", b'"\x7f"'],
)
def test_what_is_no_key_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedKey):
        read(value)


def test_two_fields_are_refused_even_if_they_are_equal() -> None:
    with pytest.raises(MalformedKey, match="more than once"):
        read(b"a", b"a")


def test_the_longest_key_is_a_key_and_one_more_is_none() -> None:
    assert read(b"x" * LONGEST) is not None
    with pytest.raises(MalformedKey, match=str(LONGEST)):
        read(b"x" * (LONGEST + 1))


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=LONGEST))
def test_every_string_in_quotes_is_read_as_it_was_meant(text: str) -> None:
    written = b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()
    if not text.strip():
        return

    assert read(written) == IdempotencyKey(text.encode(), quoted=True)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_are_refused(value: bytes) -> None:
    try:
        key = read(value)
    except MalformedKey:
        return

    assert key is not None
    assert 1 <= len(key.text) <= LONGEST


def test_another_key_is_written_the_same_way() -> None:
    assert IdempotencyKey(b"a", quoted=True).spelled(b"f0") == b'"f0"'
    assert IdempotencyKey(b"a", quoted=False).spelled(b"f0") == b"f0"
