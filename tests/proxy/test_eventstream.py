import base64
from itertools import pairwise
from struct import pack
from zlib import crc32

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.eventstream import BrokenEventStream, EventHeader, EventStreamDecoder, EventStreamMessage
from llmproxy.sse import EventTooLarge

from .recorded import needs_recordings, records


def signed(bits):
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


VALUES = st.one_of(
    *(
        st.tuples(values, st.just(kind))
        for kind, values in {
            "bool": st.booleans(),
            "byte": signed(8),
            "short": signed(16),
            "integer": signed(32),
            "long": signed(64),
            "timestamp": signed(64),
            "bytes": st.binary(max_size=20),
            "string": st.text(max_size=20),
            "uuid": st.uuids(),
        }.items()
    )
)
NAMES = st.text(min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=10).map(
    lambda found: tuple(EventHeader(name, value, kind) for name, (value, kind) in found.items())
)
MESSAGES = st.lists(st.builds(EventStreamMessage, st.binary(max_size=60), HEADERS), max_size=4)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def cut(stream, places):
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def decoded(chunks):
    decoder = EventStreamDecoder()
    messages = [message for chunk in chunks for message in decoder.feed(chunk)]
    return messages, decoder.close()


def framed(headers=b"", payload=b"", *, total=None, prelude=None, last=None):
    """Write a message by hand, with whatever is to be wrong in it."""
    lengths = pack(">II", 16 + len(headers) + len(payload) if total is None else total, len(headers))
    whole = lengths + pack(">I", crc32(lengths) if prelude is None else prelude) + headers + payload
    return whole + pack(">I", crc32(whole) if last is None else last)


@given(MESSAGES, CUTS)
def test_messages_are_read_as_they_were_written_however_they_arrive(messages, places):
    stream = b"".join(message.encode() for message in messages)

    assert decoded(cut(stream, places)) == (messages, b"")


@given(MESSAGES, st.integers(0, 400))
def test_a_stream_cut_off_leaves_a_rest_and_no_message_of_it(messages, place):
    stream = b"".join(message.encode() for message in messages)
    found, rest = decoded([stream[:place]])

    assert found == messages[: len(found)]
    assert b"".join(message.encode() for message in found) + rest == stream[:place]


def test_the_bytes_are_those_of_the_specification():
    # The layout worked out by hand: two headers and a payload of JSON.
    headers = b"\x0b:event-type\x07\x00\x05delta" + b"\x01n\x04\x00\x00\x00\x07"
    message = EventStreamMessage(
        b'{"a":1}', (EventHeader(":event-type", "delta"), EventHeader("n", 7, "integer"))
    )

    assert message.encode() == framed(headers, b'{"a":1}')
    assert decoded([framed(headers, b'{"a":1}')]) == ([message], b"")


def test_a_header_of_each_of_the_ten_types_is_read():
    block = b"".join(
        [
            b"\x01a\x00\x01b\x01",
            b"\x01c\x02\xff\x01d\x03\xff\xfe\x01e\x04\xff\xff\xff\xfd",
            b"\x01f\x05" + b"\xff" * 7 + b"\xfc",
            b"\x01g\x06\x00\x02\x00\xff\x01h\x07\x00\x02hi",
            b"\x01i\x08" + b"\0" * 7 + b"\x05\x01j\x09" + bytes(range(16)),
        ]
    )
    [message], _ = decoded([framed(block)])

    assert [header.kind for header in message.headers] == [
        "bool",
        "bool",
        "byte",
        "short",
        "integer",
        "long",
        "bytes",
        "string",
        "timestamp",
        "uuid",
    ]
    assert [header.value for header in message.headers[:9]] == [
        True,
        False,
        -1,
        -2,
        -3,
        -4,
        b"\0\xff",
        "hi",
        5,
    ]
    assert message.headers[9].value.bytes == bytes(range(16))
    assert message.encode() == framed(block)


def test_a_message_says_what_kind_it_is():
    message = EventStreamMessage(
        b"{}",
        (EventHeader(":message-type", "exception"), EventHeader(":exception-type", "throttlingException")),
    )

    assert (message.message_type, message.exception_type, message.event_type) == (
        "exception",
        "throttlingException",
        "",
    )
    assert EventStreamMessage(b"", (EventHeader(":event-type", b"x", "bytes"),)).event_type == ""
    assert message.json() == {}


@pytest.mark.parametrize(
    "stream",
    [
        framed(b"", b"abc", prelude=1),
        framed(b"", b"abc", last=1),
        framed(b"", b"abc")[:14] + b"x" + framed(b"", b"abc")[15:],
        framed(total=15),
        framed(b"\x01a\x00", total=16),
        framed(b"\x01a\x0a"),
        framed(b"\x01a"),
        framed(b"\x05a\x00"),
        framed(b"\x01a\x07\x00\x09hi"),
        framed(b"\x01a\x07\x00"),
        framed(b"\x01a\x05\x00"),
        framed(b"\x01\xff\x00"),
        framed(b"\x01a\x07\x00\x01\xff"),
        framed(b"\x00\x00"),
        framed(b"\x01a\x00\x01a\x01"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_broken_stream_is_refused_for_good(stream, size):
    decoder = EventStreamDecoder()

    with pytest.raises(BrokenEventStream):
        [decoder.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    with pytest.raises(BrokenEventStream):
        decoder.feed(framed())


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=300)
def test_nothing_but_the_documented_errors_comes_of_any_bytes(data, valid):
    try:
        messages, rest = decoded([framed(data) if valid else data])
    except (BrokenEventStream, EventTooLarge):
        return

    assert b"".join(message.encode() for message in messages) + rest == (framed(data) if valid else data)


def test_a_message_over_the_bound_is_refused_before_it_is_there():
    decoder = EventStreamDecoder(max_message=50)

    assert len(decoder.feed(framed(payload=b"x" * 34))) == 1
    with pytest.raises(EventTooLarge, match="longer than 50 bytes"):
        decoder.feed(framed(payload=b"x" * 35)[:12])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (128, "byte"),
        (-(1 << 63) - 1, "long"),
        (True, "integer"),
        (1, "bool"),
        ("a", "bytes"),
        (b"a", "string"),
        ("x" * 32768, "string"),
        (7, "uuid"),
    ],
)
def test_a_header_that_does_not_fit_is_not_written(value, kind):
    with pytest.raises(ValueError, match=r"is no|does not fit|at most"):
        EventHeader("n", value, kind).encode()


@pytest.mark.parametrize("name", ["", "n" * 256])
def test_a_header_needs_a_name_that_fits(name):
    with pytest.raises(ValueError, match="1 to 255"):
        EventHeader(name, "v").encode()


@needs_recordings
@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_every_recorded_stream_is_read_and_written_again_byte_for_byte(size):
    streams = [
        [base64.b64decode(frame) for frame in record["response"]["frames"]]
        for record in records("bedrock")
        if record["response"].get("frames")
    ]

    assert streams
    for frames in streams if size > 1 else streams[:10]:
        stream = b"".join(frames)
        messages, rest = decoded([stream[at : at + size] for at in range(0, len(stream), size)])
        assert [message.encode() for message in messages] == frames
        assert rest == b""
        assert all(isinstance(orjson.loads(message.payload), dict) for message in messages)
        assert {message.message_type for message in messages} <= {"event", "exception"}
