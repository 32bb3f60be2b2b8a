from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Choice,
    Collector,
    Reasoning,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import Usage
from llmproxy_cohere.streams import ChatDecoder

from .conftest import STREAM, event, streamed

PLAN = event("tool-plan-delta", delta={"message": {"tool_plan": "I will."}})
END = event("message-end", delta={"finish_reason": "TOOL_CALL"})


def call(index: int, arguments: tuple[str, ...], name: str = "f") -> bytes:
    told = {"id": f"f_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [
        event(
            "tool-call-delta",
            index=index,
            delta={"message": {"tool_calls": {"function": {"arguments": piece}}}},
        )
        for piece in arguments
    ]
    start = event("tool-call-start", index=index, delta={"message": {"tool_calls": told}})
    return start + b"".join(pieces) + event("tool-call-end", index=index)


def read(*pieces: bytes) -> list[StreamEvent]:
    decoder = ChatDecoder()
    events = [told for piece in pieces for told in decoder.feed(piece)]
    return events + decoder.close()


def collected(events: list[StreamEvent]) -> Collector:
    collector = Collector()
    for told in events:
        collector.feed(told)
    return collector


def test_a_stream_is_an_answer() -> None:
    assert collected(read(STREAM)).answer == Answer(
        id="a1",
        choices=(Choice(content=(Text("Hi"),), finish="stop", detail="COMPLETE"),),
        usage=Usage(10, 50, 0, 3, 0),
    )


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_events_do_not_depend_on_the_cuts(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]

    assert read(*pieces) == read(STREAM)


@given(st.integers(0, STREAM.index(b'"finish_reason"')))
def test_a_stream_that_was_cut_is_never_whole(end: int) -> None:
    with pytest.raises(TruncatedStream):
        read(STREAM[:end])


def test_a_plan_and_calls_are_blocks_of_their_own() -> None:
    answer = collected(read(PLAN + PLAN + call(0, ('{"a"', ":1}")) + call(1, ()) + END)).answer

    assert answer.choices[0].content == (
        Reasoning("I will.I will.", origin="cohere", id="tool_plan"),
        ToolCall("f_0", "f", '{"a":1}'),
        ToolCall("f_1", "f", "{}"),
    )


@pytest.mark.parametrize("pieces", [("null",), ("nu", "ll"), (" ", "null ")])
def test_null_is_no_arguments(pieces: tuple[str, ...]) -> None:
    [called] = collected(read(call(0, pieces) + END)).answer.choices[0].content

    assert isinstance(called, ToolCall)
    assert called.arguments == "{}"


def test_sources_may_follow_the_end_of_their_text() -> None:
    source = {"type": "tool", "id": "f:0", "tool_output": {"content": "15 C"}}
    cited = {"start": 0, "end": 2, "text": "Hi", "sources": [source], "type": "TEXT_CONTENT"}
    late = event("citation-start", index=0, delta={"message": {"citations": cited}})
    at = STREAM.index(b"event: message-end")

    [said] = collected(read(STREAM[:at] + late + STREAM[at:])).answer.choices[0].content

    assert isinstance(said, Text)
    assert [(each.quote, each.text_end) for each in said.citations] == [("15 C", 2)]


@pytest.mark.parametrize(
    "last",
    [
        event("message-end", delta={"finish_reason": "ERROR", "error": "Oh"}),
        event("message-end", delta={"finish_reason": "TIMEOUT"}),
        b'data: {"message": "Oh"}\n\n',
        b'event: error\ndata: {"message": "Oh"}\n\n',
    ],
)
def test_an_error_ends_it(last: bytes) -> None:
    collector = collected(read(STREAM[: STREAM.index(b"event: message-end")] + last))

    assert collector.failed is not None
    assert collector.failed.error.status >= 400


def test_what_is_not_known_is_passed_over_and_a_start_is_made_up() -> None:
    events = read(event("new-thing", x=1) + b": ping\n\n" + PLAN + END)

    assert events[0] == Started()


def test_the_last_blank_line_may_be_missing() -> None:
    assert collected(read(STREAM.removesuffix(b"\n\ndata: [DONE]\n\n"))).answer.usage is not None


@pytest.mark.parametrize(
    "data",
    [
        b"data: [1]\n\n",
        b"data: {\n\n",
        event("content-delta", index="x", delta={}),
        event("content-delta", index=0, delta={"message": {"content": {"text": 3}}}),
        event("tool-call-start", index=0, delta={}),
        event("tool-call-delta", index=4, delta={}),
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(data)


@given(st.binary(max_size=60))
def test_whatever_comes_is_never_a_whole_answer(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(data)


def test_golden_every_recorded_stream_is_read_as_the_judge_reads_it(
    recordings: list[dict[str, Any]], judge: Any
) -> None:
    for record, data in streamed(recordings):
        truth = judge.parse_response("cohere.chat_v2", record["response"])
        answer = collected(read(data)).answer
        [choice] = answer.choices

        said = "".join(block.text for block in choice.content if isinstance(block, Text))
        calls = [block.name for block in choice.content if isinstance(block, ToolCall)]
        assert (said, calls) == (truth.text, [each["name"] for each in truth.calls]), record["id"]
        assert answer.usage is not None
        assert answer.usage.total == truth.usage["input"] + truth.usage["output"], record["id"]


def test_a_part_does_not_go_on_once_another_has_begun() -> None:
    """Events of a block that has ended would be of no canonical stream, and not every dialect's writer bears them."""

    def begun(index: int) -> bytes:
        content = {"type": "text", "text": "a"}
        return event("content-start", index=index, delta={"message": {"content": content}})

    more = event("content-delta", index=0, delta={"message": {"content": {"text": "b"}}})

    with pytest.raises(ValueError, match="goes on that has ended"):
        read(begun(0), begun(1), more)
