from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_compression.coders import CODERS, installed

from .unpacking import opened, unpacked


@pytest.mark.parametrize("coding", CODERS)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6))
def test_each_piece_can_be_read_when_it_was_fed(coding: str, pieces: list[bytes]) -> None:
    coder, decode = CODERS[coding](), opened(coding)
    whole = b""
    for piece in pieces:
        coded = coder.feed(piece)
        whole += coded

        assert decode(coded) == piece
    whole += coder.close()
    assert unpacked(whole, coding) == b"".join(pieces)


@pytest.mark.parametrize("coding", CODERS)
def test_repetition_is_found(coding: str) -> None:
    coder = CODERS[coding]()
    text = b'{"name":"value","list":[1,2,3]}' * 1000

    assert len(coder.feed(text) + coder.close()) < len(text) / 50


def test_gzip_needs_no_package() -> None:
    assert installed("gzip")
