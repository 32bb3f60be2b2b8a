from __future__ import annotations

import msgspec
import pytest

from llmproxy_httpcache.terms import Terms, pack_terms, unpack_terms


def test_terms_are_stored_and_read() -> None:
    terms = Terms(60, 1.5, 1000.25, 3, 4, 5, b'"x"', b"Sun", 9, 10, 1, 2, 3)

    assert unpack_terms(pack_terms(terms)) == terms


def test_what_is_not_terms_is_told() -> None:
    with pytest.raises(msgspec.MsgspecError):
        unpack_terms(b"\x93\x01")


def test_a_clock_that_is_set_back_makes_nothing_younger() -> None:
    terms = Terms(60, 5, 1000)

    assert terms.age_at(1010) == 15
    assert terms.age_at(900) == 5


def test_only_a_strong_tag_tells_bytes_apart() -> None:
    assert Terms(1, 0, 0, etag=b'"a"').strong == b'"a"'
    assert Terms(1, 0, 0, etag=b'W/"a"').strong == b""
    assert Terms(1, 0, 0, modified=b"x").validator
    assert not Terms(1, 0, 0).validator
