import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.eventreading import EventReader, event_of
from llmproxy.eventstream import BrokenEventStream, EventHeader, EventStreamMessage
from llmproxy.messages import Headers, Reply
from llmproxy.sse import EventTooLarge

FRAMES = "application/vnd.amazon.eventstream"


def reader(kind, longest=1000):
    return EventReader(Reply(200, Headers.of({"Content-Type": kind})), longest)


def message(name, told, kind="event", **more):
    named = {f":{kind}-type": name, ":message-type": kind, **more}
    headers = tuple(EventHeader(key.replace("_", "-"), value) for key, value in named.items())
    return EventStreamMessage(orjson.dumps(told), headers)


@pytest.mark.parametrize(
    ("kind", "stream", "names"),
    [
        ("text/event-stream", b'event: a\ndata: {"n":1}\n\ndata: {"n":2}', [b"a", None]),
        ("application/x-ndjson", b'{"n":1}\n{"n":2}', [None, None]),
        (FRAMES, message("a", {"n": 1}).encode() + message("b", {"n": 2}).encode(), [b"a", b"b"]),
    ],
)
@given(cuts=st.lists(st.integers(1, 60), min_size=1))
def test_events_are_the_same_however_they_are_framed_and_cut(kind, stream, names, cuts):
    reading, events, at = reader(kind), [], 0
    for cut in cuts:
        events += reading.feed(stream[at : at + cut])
        at += cut
    events += [*reading.feed(stream[at:]), *reading.close()]

    assert [event.event for event in events] == names
    assert [event.json()["n"] for event in events] == [1, 2]


def test_an_exception_is_an_error_event_with_its_type():
    event = event_of(message("throttlingException", {"message": "slow down"}, "exception"))

    assert (event.event, event.json()) == (
        b"error",
        {"__type": "throttlingException", "message": "slow down"},
    )


def test_an_error_that_is_no_json_has_its_message_in_the_head():
    told = EventStreamMessage(
        b"",
        (
            EventHeader(":message-type", "error"),
            EventHeader(":error-code", "InternalFailure"),
            EventHeader(":error-message", "it broke"),
        ),
    )

    assert event_of(told).json() == {"__type": "InternalFailure", "message": "it broke"}


def test_a_frame_that_was_cut_is_no_event():
    reading = reader(FRAMES)

    assert reading.feed(message("a", {}).encode()[:-1]) == []
    assert reading.close() == []


def test_what_is_too_long_or_no_frame_is_refused():
    with pytest.raises(EventTooLarge):
        reader(FRAMES, 10).feed(message("a", {}).encode())
    with pytest.raises(BrokenEventStream):
        reader(FRAMES).feed(b"data: {}\n\n" * 4)
