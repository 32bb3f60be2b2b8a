import pytest

from llmproxy.plugin import EventStreamDecoder
from llmproxy_bedrock.frames import event_frame, exception_frame


@pytest.mark.parametrize(
    ("frame", "kind", "name"),
    [
        (event_frame("messageStart", {"a": 1}), "event", "messageStart"),
        (exception_frame("throttlingException", {"a": 1}), "exception", "throttlingException"),
    ],
)
def test_a_frame_says_what_it_is(frame, kind, name):
    (message,) = EventStreamDecoder().feed(frame)

    assert message.message_type == kind
    assert message.event_type or message.exception_type == name
    assert message.text(":content-type") == "application/json"
    assert message.json() == {"a": 1}


def test_amazons_own_library_reads_them():
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(event_frame("messageStart", {"role": "assistant"}))

    (event,) = buffer
    assert event.headers == {
        ":event-type": "messageStart",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert event.payload == b'{"role":"assistant"}'
