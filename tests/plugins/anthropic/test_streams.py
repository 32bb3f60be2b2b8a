from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Cited,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Ping,
    Reasoning,
    Signed,
    Started,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import Usage
from llmproxy.testing import assert_bytes_invariant
from llmproxy_anthropic.answers import decode_answer
from llmproxy_anthropic.streams import MessageDecoder

from .conftest import stream_bytes, streamed


def event(kind, **more):
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **more}) + b"\n\n"


def start(index, **block):
    return event("content_block_start", index=index, content_block=block)


def piece(index, **delta):
    return event("content_block_delta", index=index, delta=delta)


def stop(index):
    return event("content_block_stop", index=index)


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "model": "claude",
        "usage": {
            "input_tokens": 5,
            "cache_read_input_tokens": 2,
            "output_tokens": 1,
            "service_tier": "priority",
        },
    },
)
END = event(
    "message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9}
) + event("message_stop")
WEB = {
    "type": "web_search_result_location",
    "cited_text": "q",
    "url": "u",
    "title": "t",
    "encrypted_index": "e",
}
SEARCH = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
STREAM = b"".join(
    [
        START,
        start(0, type="thinking", thinking="", signature=""),
        event("ping"),
        piece(0, type="thinking_delta", thinking="hm"),
        piece(0, type="signature_delta", signature="EqQB"),
        stop(0),
        start(1, type="redacted_thinking", data="EvgF"),
        stop(1),
        start(2, type="text", text=""),
        piece(2, type="text_delta", text="Grüße "),
        piece(2, type="citations_delta", citation=WEB),
        stop(2),
        start(3, type="server_tool_use", id="s", name="web_search", input={}),
        piece(3, type="input_json_delta", partial_json='{"q":'),
        piece(3, type="input_json_delta", partial_json='"x"}'),
        stop(3),
        start(4, **SEARCH),
        stop(4),
        event("new_kind", index=9),
        start(5, type="tool_use", id="toolu_1", name="look", input={}),
        piece(5, type="input_json_delta", partial_json=""),
        piece(5, type="input_json_delta", partial_json='{"a":1}'),
        stop(5),
        END,
    ]
)


def events(data, *cuts):
    decoder = MessageDecoder()
    told = []
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        told += decoder.feed(data[begin:end])
    return [*told, *decoder.close()]


def answer(told):
    collector = Collector()
    for each in told:
        collector.feed(each)
    return collector.answer


class Report:
    """A decoder as the kit's check wants it: its events leave as text."""

    def __init__(self) -> None:
        self._decoder = MessageDecoder()

    def feed(self, data: bytes) -> bytes:
        return "".join(map(repr, self._decoder.feed(data))).encode()

    def close(self) -> bytes:
        return "".join(map(repr, self._decoder.close())).encode()


def test_a_stream_is_told_event_by_event():
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
    told = events(STREAM)

    assert [type(each) for each in told[:6]] == [Started, BlockStarted, Ping, Delta, Signed, BlockEnded]
    assert told[0] == Started("msg_1", "claude", 0, Usage(5, 2, 0, 1), "priority")
    assert told[1] == BlockStarted(0, Reasoning(origin="anthropic"))
    assert told[6] == BlockStarted(1, Reasoning(redacted="EvgF", origin="anthropic"))
    assert BlockStarted(3, Foreign(origin="anthropic", value=search)) in told
    assert BlockStarted(4, Foreign(origin="anthropic", value=SEARCH)) in told
    assert BlockStarted(5, ToolCall(id="toolu_1", name="look", arguments="")) in told
    assert sum(type(each) is Cited for each in told) == 1
    assert told[-2:] == [Finished("tool_calls", None, "tool_use"), Counted(Usage(5, 2, 0, 9))]


def test_the_cuts_do_not_matter():
    assert_bytes_invariant(Report, STREAM)


@given(st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=9).map(sorted))
def test_many_cuts_do_not_matter(cuts):
    assert events(STREAM, *cuts) == events(STREAM)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_is_read(end):
    assert answer(events(STREAM.replace(b"\n", end))) == answer(events(STREAM))


def test_text_that_is_known_at_the_start_is_told():
    data = START + start(0, type="text", text="Hi", citations=[WEB]) + stop(0) + END

    assert events(data)[1:4] == [BlockStarted(0, Text(text="")), Delta(0, "Hi"), events(data)[3]]


def test_a_call_whose_input_is_known_at_the_start_is_told():
    data = START + start(0, type="tool_use", id="i", name="n", input={"a": 1}) + stop(0) + END

    assert answer(events(data)).choices[0].content == (ToolCall(id="i", name="n", arguments='{"a":1}'),)


def test_pieces_of_a_block_that_only_anthropic_has_are_put_into_it():
    data = (
        START
        + start(0, type="compaction", content=None)
        + piece(0, type="compaction_delta", content="c")
        + stop(0)
    )

    [block] = answer(events(data + END)).choices[0].content
    assert block == Foreign(origin="anthropic", value={"type": "compaction", "content": "c"})


def test_an_error_ends_the_stream():
    told = events(START + event("error", error={"type": "overloaded_error", "message": "Busy."}) + END)

    assert isinstance(told[-1], Failed)
    assert (told[-1].error.kind, told[-1].error.message) == ("overloaded", "Busy.")


def test_nothing_follows_the_end():
    assert events(STREAM + STREAM) == events(STREAM)


@pytest.mark.parametrize("cut", [0, 10, len(START), len(STREAM) - len(END), len(STREAM) - 40])
def test_a_stream_that_breaks_off_is_not_whole(cut):
    with pytest.raises(TruncatedStream):
        events(STREAM[:cut])


def test_a_last_event_without_a_blank_line_is_read():
    assert events(STREAM.rstrip(b"\n")) == events(STREAM)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b"data: \xff\n\n",
        event("message_start"),
        event("message_start", message=None),
        start(0, type="text", text=""),
        START + start("x", type="text", text=""),
        START + start([], type="text", text=""),
        START + start(0),
        START + start(0, type=[]),
        START + start(0, type="tool_use", id=3, name="n"),
        START + start(0, type="text", text="") + start(0, type="text", text=""),
        START + piece(0, type="text_delta", text="x"),
        START + start(0, type="text", text="") + piece(0, type="text_delta", text=None),
        START + start(0, type="text", text="") + piece(0, type="text_delta"),
        START + start(0, type="text", text="") + event("message_stop"),
        START + stop(0),
        START + event("message_delta"),
        START
        + start(0, type="server_tool_use")
        + piece(0, type="input_json_delta", partial_json="{")
        + stop(0),
        event("message_stop"),
    ],
    ids=range(20),
)
def test_what_breaks_the_order_or_the_types_is_a_value_error(data):
    with pytest.raises(ValueError):  # noqa: PT011  # of any kind
        events(data)


def test_an_event_that_never_ends_is_refused():
    decoder = MessageDecoder()
    decoder.feed(b"x" * 2**25)

    with pytest.raises(ValueError, match="longer than"):
        decoder.feed(b"x")


@given(st.integers(0, len(STREAM) - 1), st.binary(min_size=1, max_size=4), st.integers(1, len(STREAM)))
def test_a_damaged_stream_is_refused_or_read_and_never_anything_else(place, damage, end):
    data = (STREAM[:place] + damage + STREAM[place + len(damage) :])[:end]
    try:
        events(data)
    except ValueError:
        return
    assert b"message_stop" in data or b"error" in data


@pytest.mark.shared
def test_every_recorded_stream_is_read_to_its_end(recordings, judge):
    for record in streamed(recordings):
        raw = stream_bytes(record)
        told = events(raw, *range(13, len(raw), 4099))
        truth = judge.parse_response(record["dialect"], record["response"])
        got = answer(told)
        text = (
            "".join(block.text for block in got.choices[0].content if isinstance(block, Text))
            if got.choices
            else ""
        )

        assert text == truth.text, record["id"]
        assert told == events(raw)


def test_a_stream_and_a_whole_answer_mean_the_same():
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
    ]
    body = {"id": "msg_1", "model": "claude", "content": content, "stop_reason": "tool_use"}
    usage = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 9, "service_tier": "priority"}
    data = b"".join(
        [
            START,
            start(0, type="text", text=""),
            piece(0, type="text_delta", text="Hi"),
            stop(0),
            start(1, type="tool_use", id="i", name="n", input={}),
            piece(1, type="input_json_delta", partial_json='{"a":1}'),
            stop(1),
            END,
        ]
    )

    assert answer(events(data)) == decode_answer(orjson.dumps({**body, "usage": usage}))


def test_an_event_whose_type_stands_in_its_name_alone_is_of_that_type():
    nameless = STREAM.replace(b'"type":"content_block_delta",', b"").replace(
        b'"type":"message_stop"', b'"x":1'
    )

    assert nameless != STREAM
    assert answer(events(nameless)) == answer(events(STREAM))


@pytest.mark.parametrize(
    "told",
    [
        b'event: error\ndata: {"error":{"message":"later","type":"x"}}\n\n',
        b'data: {"error":{"message":"later","code":null}}\n\n',
        b'data: {"type":"overloaded_error","message":"later"}\n\n',
    ],
)
def test_an_error_in_another_dialects_words_is_one(told):
    failed = events(START + told)[-1]

    assert isinstance(failed, Failed)
    assert failed.error.message == "later"


def test_an_input_that_is_known_at_the_start_and_told_again_in_pieces_is_told_once():
    call = start(0, type="tool_use", id="a", name="f", input={"a": 1})
    again = piece(0, type="input_json_delta", partial_json='{"a": 1}')

    assert answer(events(START + call + again + stop(0) + END)).choices[0].content == (
        ToolCall(id="a", name="f", arguments='{"a": 1}'),
    )


def test_pieces_that_hold_nothing_say_nothing():
    thought = start(0, type="thinking", thinking=None) + piece(0, type="thinking_delta", thinking="hm")
    empty = piece(0, type="signature_delta", signature=None) + piece(0, type="thinking_delta", thinking=None)

    assert answer(events(START + thought + empty + stop(0) + END)).choices[0].content == (
        Reasoning(text="hm", origin="anthropic"),
    )


def test_an_end_that_tells_its_usage_alone_is_read():
    counted = event("message_delta", delta=None, usage={"output_tokens": 9}) + event("message_stop")
    told = answer(events(START + start(0, type="text", text="hi") + stop(0) + counted))

    assert told.choices[0].content == (Text(text="hi"),)
    assert told.usage.output == 9
