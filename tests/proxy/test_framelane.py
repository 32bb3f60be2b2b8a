import orjson

from llmproxy.eventstream import EventHeader, EventStreamDecoder, EventStreamMessage
from llmproxy.framelane import FramedMessages
from llmproxy.lanes import framed, run_whole
from llmproxy.messages import Headers, Reply
from llmproxy.sse import Event


def frame(name, told, kind="event"):
    headers = (EventHeader(f":{kind}-type", name), EventHeader(":message-type", kind))
    return EventStreamMessage(orjson.dumps(told), headers).encode()


STREAM = frame("messageStart", {"role": "assistant"}) + frame("contentBlockDelta", {"delta": {"text": "hi"}})


class Loud:
    """Makes the text of pieces loud, and says one thing more at the end."""

    def feed(self, event):
        if event.event == b"contentBlockDelta":
            return [Event(event.data.replace(b"hi", b"HI"), event=event.event)]
        return [event]

    def close(self):
        return [Event(b'{"n":1}', event=b"metadata")]


def test_transforms_see_what_frames_say_and_others_leave_byte_for_byte():
    out = run_whole([FramedMessages(Loud())], STREAM)

    assert out.startswith(frame("messageStart", {"role": "assistant"}))
    told = [(message.event_type, message.json()) for message in EventStreamDecoder().feed(out)]
    assert told[1:] == [("contentBlockDelta", {"delta": {"text": "HI"}}), ("metadata", {"n": 1})]


def test_an_exception_passes_as_it_is():
    exception = frame("throttlingException", {"message": "hi"}, "exception")

    assert FramedMessages(Loud()).feed(exception) == exception


def test_a_replys_kind_chooses_the_machine():
    reply = Reply(200, Headers.of({"Content-Type": "application/vnd.amazon.eventstream"}))

    assert isinstance(framed(reply, Loud()), FramedMessages)
