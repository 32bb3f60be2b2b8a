import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.framing import BadFrame, FrameDecoder, encode_frame


class Note(msgspec.Struct, tag=True):
    text: str
    data: bytes = b""


decoder = msgspec.msgpack.Decoder(Note)


@given(st.lists(st.builds(Note, st.text(), st.binary())), st.lists(st.integers(1, 40)))
def test_messages_arrive_whole_however_the_stream_is_split(notes, cuts):
    stream = b"".join(encode_frame(note) for note in notes)
    frames = FrameDecoder(decoder)
    heard = []
    for cut in cuts:
        heard += frames.feed(stream[:cut])
        stream = stream[cut:]
    heard += frames.feed(stream)

    assert heard == notes


def test_a_message_too_long_is_not_sent():
    with pytest.raises(ValueError, match="longer than the 100"):
        encode_frame(Note("x" * 200), limit=100)


def test_a_length_beyond_the_limit_is_refused_before_its_body_comes():
    with pytest.raises(BadFrame, match="longer than the 100"):
        FrameDecoder(decoder, limit=100).feed(encode_frame(Note("x" * 200))[:4])


@given(st.binary(min_size=1))
def test_what_is_no_message_is_refused(body):
    frame = len(body).to_bytes(4, "big") + b"\xc1" + body[1:]

    with pytest.raises(BadFrame, match="not one of ours"):
        FrameDecoder(decoder).feed(frame)
