from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Inline, inline_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
WAV = b"RIFF\0\0\0\0WAVEfmt " + bytes(40)


@pytest.mark.parametrize(("data", "media_type"), [(PNG, "image/png"), (WAV, "audio/wav")])
def test_what_bytes_are_is_seen_whatever_they_are_said_to_be(data: bytes, media_type: str) -> None:
    text = b64encode(data).decode()

    assert inline_of(text, "image/gif") == Inline(media_type=media_type, data=text)


def test_what_cannot_be_seen_is_what_it_is_said_to_be() -> None:
    assert inline_of("AAAA", "audio/mpeg").media_type == "audio/mpeg"
    assert inline_of("AAAA").media_type == "application/octet-stream"


@given(st.text(max_size=40))
def test_what_is_no_base64_is_left_to_its_provider(text: str) -> None:
    assert inline_of(text, "image/png").data == text
