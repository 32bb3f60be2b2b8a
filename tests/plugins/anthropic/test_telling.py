from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Audio,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Cited,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Link,
    Ping,
    Reasoning,
    Refusal,
    Signed,
    Started,
    Text,
    ToolCall,
    events_of,
    pack_signature,
)
from llmproxy.plugin import ProviderError, Usage
from llmproxy_anthropic.streams import MessageDecoder
from llmproxy_anthropic.telling import MessageEncoder

from .conftest import stream_bytes, streamed


def told(*events, estimate=7):
    """Tell events; return the wire's events as they are read."""
    encoder = MessageEncoder("m", "x", estimate)
    pieces = [piece for event in events for piece in encoder.feed(event)]
    data = b"".join([*pieces, *encoder.close()])
    blocks = data.decode().removesuffix("\n\n").split("\n\n")
    names = [block.partition("\n")[0].removeprefix("event: ") for block in blocks]
    values = [orjson.loads(block.partition("data: ")[2]) for block in blocks]
    assert names == [value["type"] for value in values]
    return values


def whole(*events):
    return [value for value in told(*events) if value["type"] != "ping"]


def decoded(data):
    decoder, collector = MessageDecoder(), Collector()
    for event in [*decoder.feed(data), *decoder.close()]:
        collector.feed(event)
    return collector.answer


def encoded(answer):
    encoder = MessageEncoder("m", "x", 7)
    return b"".join(
        [*(piece for event in events_of(answer) for piece in encoder.feed(event)), *encoder.close()]
    )


def test_an_answer_has_anthropics_exact_order():
    values = told(
        Started("msg_1", "claude"),
        BlockStarted(0, Text(text="")),
        Delta(0, "Hi"),
        Ping(),
        BlockEnded(0),
        Finished("stop"),
        Counted(Usage(3, 2, 1, 4, 5)),
    )

    assert [value["type"] for value in values] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "ping",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert values[0]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 1},
    }
    assert values[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert values[-2]["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 1,
        "cache_read_input_tokens": 2,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_usage_that_is_known_first_is_told_first():
    values = told(Started("", "", 0, Usage(3, 0, 0, 1), "priority"), Finished("stop"))

    assert values[0]["message"]["usage"]["input_tokens"] == 3
    assert values[0]["message"]["usage"]["service_tier"] == "priority"
    assert (values[0]["message"]["id"], values[0]["message"]["model"]) == ("msg_x", "m")
    assert values[-2]["usage"]["input_tokens"] == 3


def test_usage_that_nobody_tells_is_nothing():
    assert told(Started(), Finished("length"))[-2]["usage"] == {"output_tokens": 0}


def test_a_stream_without_a_start_gets_one():
    assert [value["type"] for value in told()] == ["message_start", "message_delta", "message_stop"]
    assert told(BlockStarted(0, Text(text="")))[0]["type"] == "message_start"


def test_interleaved_calls_are_told_one_after_another():
    values = whole(
        Started(),
        BlockStarted(0, ToolCall(id="a", name="n", arguments="")),
        BlockStarted(1, ToolCall(id="b", name="n", arguments="")),
        Delta(1, '{"x"'),
        Delta(0, "{}"),
        Delta(1, ":1}"),
        Finished("tool_calls"),
    )

    assert [(value["type"], value["index"]) for value in values[1:-2]] == [
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
    ]
    assert values[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_call_that_began_with_its_arguments_tells_them():
    values = whole(BlockStarted(0, ToolCall(id="a", name="n", arguments='{"x":1}')), BlockEnded(0))

    assert values[1]["content_block"] == {"type": "tool_use", "id": "a", "name": "n", "input": {}}
    assert values[2]["delta"] == {"type": "input_json_delta", "partial_json": '{"x":1}'}


@pytest.mark.parametrize(
    ("block", "signature", "expected"),
    [
        (Reasoning(origin="anthropic"), "s", "s"),
        (Reasoning(origin="gemini"), "s", pack_signature("s", "gemini")),
        (
            Reasoning(origin="openai", id="rs_1", redacted="r"),
            "",
            pack_signature('{"redacted":"r","id":"rs_1"}', "openai"),
        ),
    ],
)
def test_a_thoughts_signature_is_told_at_its_end(block, signature, expected):
    signed = [Signed(0, signature)] if signature else []
    values = whole(BlockStarted(0, block), *signed, Delta(0, "hm"), BlockEnded(0))

    assert values[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert values[2]["delta"] == {"type": "thinking_delta", "thinking": "hm"}
    assert values[3]["delta"] == {"type": "signature_delta", "signature": expected}


def test_a_thought_without_proof_has_no_signature():
    values = whole(BlockStarted(0, Reasoning()), Delta(0, "hm"), BlockEnded(0))

    assert values[3]["type"] == "content_block_stop"


def test_a_sealed_thought_is_one_block():
    values = whole(BlockStarted(0, Reasoning(redacted="d", origin="anthropic")), BlockEnded(0))

    assert values[1]["content_block"] == {"type": "redacted_thinking", "data": "d"}
    assert values[2]["type"] == "content_block_stop"


def test_words_of_refusal_are_text():
    values = whole(BlockStarted(0, Refusal(text="")), Delta(0, "No."), BlockEnded(0))

    assert values[2]["delta"] == {"type": "text_delta", "text": "No."}


def test_what_the_dialect_cannot_tell_leaves_no_gap():
    values = whole(
        BlockStarted(0, Audio(source=Link(url="u"))),
        BlockStarted(1, Text(text="")),
        Delta(0, "x"),
        BlockEnded(0),
        Delta(1, "Hi"),
        BlockEnded(1),
        BlockStarted(2, Text(text=""), 1),
        Delta(2, "other"),
        Finished("stop", choice=1),
        Finished("length"),
    )

    assert [value.get("index") for value in values[1:-2]] == [0, 0, 0]
    assert values[2]["delta"]["text"] == "Hi"
    assert values[-2]["delta"]["stop_reason"] == "max_tokens"


def test_sources_are_citations():
    page = Citation(kind="url", url="u", title="t", quote="q")
    values = whole(
        BlockStarted(0, Text(text="")), Cited(0, page), Cited(0, Citation(kind="file")), BlockEnded(0)
    )

    assert [
        value["delta"]["citation"]["url"] for value in values if value["type"] == "content_block_delta"
    ] == ["u"]


def test_blocks_of_anthropics_own_are_told_whole():
    value = {"type": "web_search_tool_result", "content": []}

    assert whole(BlockStarted(0, Foreign(origin="anthropic", value=value)))[1]["content_block"] == value


def test_an_error_is_the_last_event():
    failed = Failed(ProviderError(529, "x", "Busy.", kind="overloaded"))
    values = told(Started(), BlockStarted(0, Text(text="")), failed, Delta(0, "x"))

    assert values[-1]["error"] == {"type": "overloaded_error", "message": "Busy."}
    assert [value["type"] for value in told(failed)] == ["error"]


WORDS = st.text(min_size=1, max_size=8)
BLOCKS = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(
        Reasoning,
        text=WORDS,
        signature=st.text("ab", min_size=1),
        origin=st.sampled_from(["anthropic", "gemini"]),
    ),
    st.builds(
        Reasoning,
        redacted=WORDS.filter(lambda text: not text.startswith("llmproxy:")),
        origin=st.just("anthropic"),
    ),
    st.builds(
        ToolCall,
        id=WORDS,
        name=WORDS,
        arguments=st.dictionaries(WORDS, WORDS).map(lambda d: orjson.dumps(d).decode()),
    ),
)


@given(st.lists(BLOCKS, max_size=5), st.builds(Usage, *[st.integers(0, 99)] * 5))
def test_what_is_told_reads_as_it_was(blocks, usage):
    called = any(isinstance(block, ToolCall) for block in blocks)
    finish, detail = ("tool_calls", "tool_use") if called else ("stop", "end_turn")
    answer = Answer(
        id="i", model="m", choices=(Choice(content=tuple(blocks), finish=finish, detail=detail),), usage=usage
    )

    assert _plain(decoded(encoded(answer))) == _plain(answer)


def _plain(answer):
    """Name the origin of a thought once it is known: a stream begins it before its signature comes."""
    import msgspec

    [choice] = answer.choices
    blocks = tuple(
        msgspec.structs.replace(block, origin="") if isinstance(block, Reasoning) else block
        for block in choice.content
    )
    return msgspec.structs.replace(answer, choices=(msgspec.structs.replace(choice, content=blocks),))


@pytest.mark.shared
def test_every_recorded_stream_says_the_same_when_it_is_told_anew(recordings, judge):
    import wirepack  # the judge's own cutter of events

    for record in streamed(recordings):
        decoder, encoder = MessageDecoder(), MessageEncoder("m", "x", 7)
        events = [*decoder.feed(stream_bytes(record)), *decoder.close()]
        data = b"".join([*(piece for event in events for piece in encoder.feed(event)), *encoder.close()])
        reply = {"status": 200, "headers": {}, "events": wirepack.split_sse(data.decode())}
        truth = judge.parse_response(record["dialect"], record["response"])
        got = judge.parse_response("anthropic.messages", reply)

        assert judge.compare(truth, got, "anthropic.messages", "full") == ([], []), record["id"]
        assert judge.shape_problems("anthropic.messages", reply) == []
