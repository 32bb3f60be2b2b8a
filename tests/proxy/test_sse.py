from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.sse import Event, EventTooLarge, Framer, parse

# Few letters, many line ends: what a framer may get wrong.
STREAMS = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\r\n\r\n",
            b"data: a",
            b"data",
            b": c",
            b"x",
            b"\xef\xbb\xbf",
            b"id:7",
        ]
    ),
    max_size=24,
).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=8)
ONE_LINE = st.binary(max_size=12).filter(lambda b: not set(b) & set(b"\n\r\0"))
MANY_LINES = st.lists(ONE_LINE, min_size=1, max_size=3).map(b"\n".join)


def frame(chunks):
    framer = Framer()
    blocks = [block for chunk in chunks for block in framer.feed(chunk)]
    return blocks, framer.close()


def cut(stream, places):
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def standard_events(stream):
    """Decode as the WHATWG text reads, line by line, to (data, event type) of what is dispatched."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *lines, _unended = text.split(b"\n")
    events, data, kind = [], b"", b""
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                events.append((data[:-1], kind))
            data, kind = b"", b""
        elif name == b"data":
            data += value + b"\n"
        elif name == b"event":
            kind = value
    return events


@given(STREAMS, CUTS)
def test_cuts_do_not_depend_on_how_a_stream_arrives(stream, places):
    whole = frame([stream])

    assert frame(cut(stream, places)) == whole
    assert frame([bytes([byte]) for byte in stream]) == whole


@given(STREAMS, CUTS)
def test_no_byte_is_lost_or_changed(stream, places):
    blocks, rest = frame(cut(stream, places))

    assert b"".join(blocks) + rest == stream
    assert b"".join(parse(block).encode() for block in blocks) + rest == stream


@given(STREAMS)
def test_events_are_those_of_the_standard(stream):
    blocks, rest = frame([stream])
    # A CR at the very end may be half a line end: the framer waits, the standard's text does not.
    blocks += [rest] if rest.endswith((b"\n\r", b"\r\r")) or rest == b"\r" else []
    events = [parse(block) for block in blocks]

    assert [(event.data, event.event or b"") for event in events if event.dispatches] == standard_events(
        stream
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_given_as_soon_as_its_blank_line_is_there(end):
    framer = Framer()

    assert framer.feed(b"data: a" + end) == []
    assert framer.feed(end) == [b"data: a" + end * 2]
    assert framer.feed(b"data: b" + end * 2 + b"data: c") == [b"data: b" + end * 2]
    assert framer.close() == b"data: c"


def test_a_byte_order_mark_is_a_block_of_its_own_at_the_start_only():
    blocks, _ = frame([b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"])

    assert blocks == [b"\xef\xbb\xbf", b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n"]
    assert [parse(block).data for block in blocks] == [b"", b"a", b""]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_event_over_the_bound_is_refused_however_it_arrives(size):
    stream = b"data: " + b"x" * 60 + b"\n\n"
    framer = Framer(max_event=50)

    with pytest.raises(EventTooLarge, match="longer than 50 bytes") as fault:
        [framer.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert fault.value.limit == 50


def test_an_event_of_the_bound_passes():
    framer = Framer(max_event=9)

    assert framer.feed(b"data: x\n\n") == [b"data: x\n\n"]
    assert framer.feed(b"data: z\n\n") == [b"data: z\n\n"]
    assert framer.feed(b"data: y\n\n" * 2) == [b"data: y\n\n"] * 2


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b"data: a\n\n", Event(b"a")),
        (b"data:a\n\n", Event(b"a")),
        (b"data:  a\n\n", Event(b" a")),
        (b"data\n\n", Event(b"")),
        (b"data: a\ndata\ndata: b\n\n", Event(b"a\n\nb")),
        (b"event: m\r\ndata: a\r\n\r\n", Event(b"a", event=b"m")),
        (b"event: m\revent: n\rdata: a\r\r", Event(b"a", event=b"n")),
        (b"id: 1\ndata: a\n\n", Event(b"a", id=b"1")),
        (b"id\ndata: a\n\n", Event(b"a", id=b"")),
        (b"id: 1\0\ndata: a\n\n", Event(b"a")),
        (b"retry: 300\n\n", Event(retry=300)),
        (b"retry: 3s\ndata: a\n\n", Event(b"a")),
        (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", Event(b"a")),
        (b": ping\n:pong\n\n", Event(comment=b"ping\npong")),
        (b"dat: a\n\n", Event(comment=None, raw=b"dat: a\n\n")),
        (b" data: a\ndata: b\n\n", Event(b"b")),
        (b"data: a:b: c\n\n", Event(b"a:b: c")),
        (b"data: cut sho", Event(b"cut sho")),
    ],
)
def test_a_block_reads_as_the_standard_says(raw, event):
    assert parse(raw) == event
    assert parse(raw).encode() == raw


@given(
    MANY_LINES,
    st.none() | ONE_LINE,
    st.none() | ONE_LINE,
    st.none() | st.integers(0, 10**9),
    st.none() | MANY_LINES,
)
def test_a_written_event_reads_back_the_same(data, kind, last_id, retry, comment):
    event = Event(data, kind, last_id, retry, comment)

    assert parse(event.encode()) == event
    assert hash(parse(event.encode())) == hash(event)
    assert frame([event.encode()]) == ([event.encode()], b"")


def test_an_event_is_written_with_one_field_a_line():
    assert Event(b"a\nb", event=b"m", id=b"7", retry=5, comment=b"c").encode() == (
        b": c\nevent: m\nid: 7\nretry: 5\ndata: a\ndata: b\n\n"
    )
    assert Event().encode() == b"data: \n\n"
    assert Event(comment=b"ping").encode() == b": ping\n\n"


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", [b"a\ndata: b", b"a\rb", b"a\0b"])
def test_a_field_that_would_break_its_line_is_refused(field, value):
    with pytest.raises(ValueError, match=f"the '{field}' of an event must be one line"):
        Event(b"", **{field: value}).encode()


def test_a_changed_event_forgets_how_it_was_received():
    event = parse(b"data:a\r\nid:3\r\n\r\n")

    assert event.replace(data=b"b").encode() == b"id: 3\ndata: b\n\n"
    assert event.encode() == b"data:a\r\nid:3\r\n\r\n"


def test_comments_and_lone_fields_dispatch_nothing():
    assert [parse(raw).dispatches for raw in (b": c\n\n", b"id: 1\n\n", b"retry: 1\n\n", b"\n")] == [
        False
    ] * 4
    assert parse(b"data\n\n").dispatches
    assert parse(b"data\n\n") != parse(b": \n\n")
    assert parse(b"data: 1\n\n") != "data: 1"


def test_json_is_parsed_anew_each_time():
    event = parse(b'data: {"a": [1]}\n\n')
    event.json()["a"].append(2)

    assert event.json() == {"a": [1]}


def test_what_is_too_large_is_not_kept():
    framer = Framer(max_event=100)

    with pytest.raises(EventTooLarge):
        framer.feed(b"data: " + b"x" * 200)
    assert framer.close() == b""
