from __future__ import annotations

from typing import Any

from hypothesis import given
from tests.proxy.canonical.made import ANSWERS

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_cohere.answers import decode_answer, encode_answer
from llmproxy_cohere.streams import ChatDecoder
from llmproxy_cohere.telling import ChatEncoder

from .conftest import told


def written(events: list[StreamEvent], **more: Any) -> list[bytes]:
    encoder = ChatEncoder("name", **more)
    return [piece for event in events for piece in encoder.feed(event)] + encoder.close()


def of(*blocks: Any, **more: Any) -> Answer:
    return Answer(choices=(Choice(content=blocks, finish="stop"),), **more)


def test_a_text_is_told_in_its_parts() -> None:
    pieces = written(list(events_of(of(Text("Hi"), id="a", usage=Usage(2, 1, 0, 3)))))

    assert pieces[-1] == b"data: [DONE]\n\n"
    assert [event["type"] for event in told(*pieces)] == [
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "message-end",
    ]
    assert told(*pieces)[0]["id"] == "a"
    assert told(*pieces)[-1]["delta"] == {
        "finish_reason": "COMPLETE",
        "usage": {
            "billed_units": {"input_tokens": 3, "output_tokens": 3},
            "tokens": {"input_tokens": 3, "output_tokens": 3},
            "cached_tokens": 1,
        },
    }


def test_calls_are_counted_apart_and_a_plan_not_at_all() -> None:
    plan = Reasoning("I will.", origin="cohere", id="tool_plan")
    events = told(*written(list(events_of(of(plan, ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g"))))))

    kinds = [(event["type"], event.get("index")) for event in events]
    assert kinds == [
        ("message-start", None),
        ("tool-plan-delta", None),
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
        ("message-end", None),
    ]
    assert events[-1]["delta"]["finish_reason"] == "TOOL_CALL"


def test_sources_stand_before_the_end_of_their_text() -> None:
    cited = Text("Hi you", citations=(Citation(kind="url", url="https://a.test", title="T"),))
    events = told(*written(list(events_of(of(Reasoning("Hm"), cited)))))

    kinds = [event["type"] for event in events]
    assert kinds[-4:] == ["citation-start", "citation-end", "content-end", "message-end"]
    citation = events[-4]["delta"]["message"]["citations"]
    assert (citation["content_index"], citation["text"]) == (1, "Hi you")
    assert citation["sources"][0]["document"] == {
        "id": "https://a.test",
        "title": "T",
        "url": "https://a.test",
    }


def test_a_thought_without_text_is_not_told() -> None:
    hidden = Reasoning(redacted="x", origin="anthropic")

    assert [event["type"] for event in told(*written(list(events_of(of(hidden)))))] == [
        "message-start",
        "message-end",
    ]


def test_calls_that_overlap_are_told_one_after_another() -> None:
    events: list[StreamEvent] = [
        Started(),
        BlockStarted(0, ToolCall("1", "f", "")),
        BlockStarted(1, ToolCall("2", "g", "")),
        Delta(1, "{}"),
        Delta(0, "{}"),
        BlockEnded(1),
        BlockEnded(0),
        Finished("tool_calls"),
        Counted(Usage(1, 0, 0, 1)),
    ]
    kinds = [(event["type"], event.get("index")) for event in told(*written(events))]

    assert kinds[1:-1] == [
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
    ]


def test_a_failure_is_the_last_event_and_nothing_follows() -> None:
    failed = Failed(GatewayError(502, "server", "Oh"))
    pieces = written([Started(), BlockStarted(0, Text("")), Delta(0, "H"), failed, Delta(0, "i")])

    assert told(*pieces)[-1]["delta"] == {"error": "Oh", "code": "server", "finish_reason": "ERROR"}
    assert b"[DONE]" not in b"".join(pieces)


def test_a_stream_without_a_reason_is_no_good_end() -> None:
    assert told(*written([]))[-1]["delta"]["finish_reason"] == "ERROR"


def test_logprobs_go_with_their_text() -> None:
    logprobs = {"content": [{"token": "Hi", "logprob": -0.5}]}
    events = written([BlockStarted(0, Text("")), Delta(0, "Hi", logprobs), Finished("stop")])

    delta = next(event for event in told(*events) if event["type"] == "content-delta")
    assert delta["logprobs"] == {"text": "Hi", "token_ids": [], "logprobs": [-0.5]}


@given(ANSWERS)
def test_a_stream_tells_what_the_whole_answer_does(answer: Answer) -> None:
    decoder, collector = ChatDecoder(), Collector()
    events = decoder.feed(b"".join(written(list(events_of(answer))))) + decoder.close()
    for event in events:
        collector.feed(event)

    if collector.failed is None:
        whole = decode_answer(encode_answer(answer, "name"))
        # A part in which nothing was said has no place in a stream's text.
        assert _spoken(collector.answer) == _spoken(whole)
        assert collector.answer.choices[0].finish == whole.choices[0].finish


def _spoken(answer: Answer) -> tuple[str, list[str]]:
    content = answer.choices[0].content
    said = "".join(block.text for block in content if isinstance(block, Text))
    return said, [block.name for block in content if isinstance(block, ToolCall)]
