from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Citation,
    Collector,
    Failed,
    Finished,
    Foreign,
    Reasoning,
    Refusal,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
    events_of,
)
from llmproxy.plugin import ProviderError, Usage
from llmproxy_openai.responses.stream_reader import ResponsesDecoder
from llmproxy_openai.responses.stream_writer import stream_encoder

from .drawn import answers, as_read

if TYPE_CHECKING:
    from .conftest import AskedFor

BEGUN = {"id": "resp_1", "model": "m", "created_at": 7, "status": "in_progress", "service_tier": "auto"}
CREATED = {"type": "response.created", "response": BEGUN}
DONE = {
    "type": "response.completed",
    "response": {
        **BEGUN,
        "status": "completed",
        "output": [],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
}
AT = {"item_id": "x", "output_index": 0, "content_index": 0}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant"}


def wire(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events
    )


def decoded(pieces: Iterable[bytes]) -> list[StreamEvent]:
    decoder = ResponsesDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def collected(*events: dict[str, Any]) -> Answer:
    collector = Collector()
    for event in decoded([wire(*events)]):
        collector.feed(event)
    return collector.answer


def blocks(*events: dict[str, Any]) -> tuple[Any, ...]:
    return collected(CREATED, *events, DONE).choices[0].content


def delta(text: str, kind: str = "output_text", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", **AT, "delta": text, **more}


def item_done(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def test_deltas_are_enough_though_the_end_repeats_nothing() -> None:
    answer = collected(CREATED, delta("a"), delta("b", logprobs=[{"token": "b"}]), DONE)

    assert answer.choices[0].content == (Text(text="ab"),)
    assert answer.choices[0].finish == "stop"
    assert answer.choices[0].logprobs == {"content": [{"token": "b"}]}
    assert (answer.id, answer.model, answer.created, answer.service_tier) == ("resp_1", "m", 7, "")
    assert answer.usage == Usage(1, 0, 0, 2, 0)


def test_the_end_is_enough_though_nothing_came_before() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "hm"}], "encrypted_content": "x"},
        {**MESSAGE, "content": [{"type": "output_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'},
    ]
    done = {**DONE, "response": {**BEGUN, "status": "completed", "output": output}}

    answer = collected(done)

    assert answer.choices[0].content == (
        Reasoning(text="hm", signature="x", origin="openai", summary=True, id="rs_1"),
        Text(text="hi"),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
    )
    assert answer.choices[0].finish == "tool_calls"


def test_an_item_that_comes_whole_is_told_whole() -> None:
    citation = {"type": "url_citation", "url": "https://a.test"}
    message = {
        **MESSAGE,
        "content": [
            {"type": "output_text", "text": "hi", "annotations": [citation]},
            {"type": "refusal", "refusal": "no"},
        ],
    }

    assert blocks(item_done(message)) == (
        Text(text="hi", citations=(Citation(kind="url", url="https://a.test"),)),
        Refusal(text="no"),
    )


def test_what_deltas_left_out_is_told_at_the_end_of_the_item() -> None:
    message = {**MESSAGE, "content": [{"type": "output_text", "text": "hello"}]}
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'}

    assert blocks(
        delta("hel"),
        item_done(message),
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        item_done(call, 1),
    ) == (Text(text="hello"), ToolCall(id="c1", name="look", arguments='{"a":1}'))


def test_a_whole_text_that_differs_from_its_deltas_is_not_added() -> None:
    message = {**MESSAGE, "content": [{"type": "output_text", "text": "good bye"}]}

    assert blocks(delta("hello"), item_done(message)) == (Text(text="hello"),)


def test_parts_may_be_numbered_through_all_items() -> None:
    part = {"type": "output_text", "text": "hi"}

    assert blocks({**delta("hi"), "content_index": 3}, item_done({**MESSAGE, "content": [part]})) == (
        Text(text="hi"),
    )


def test_sources_are_told_once() -> None:
    citation = {"type": "url_citation", "url": "https://a.test"}
    added = {"type": "response.output_text.annotation.added", **AT, "annotation": citation}
    part = {"type": "output_text", "text": "hi", "annotations": [citation]}

    assert blocks(
        delta("hi"),
        added,
        {"type": "response.content_part.done", **AT, "part": part},
        item_done({**MESSAGE, "content": [part]}),
    ) == (Text(text="hi", citations=(Citation(kind="url", url="https://a.test"),)),)


def test_the_parts_of_a_summary_are_sections() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"text": "a"}, {"text": "b"}],
        "encrypted_content": "x",
    }

    (thought,) = blocks(
        delta("a", "reasoning_summary_text", summary_index=0),
        delta("b", "reasoning_summary_text", summary_index=1),
        delta("raw", "reasoning_text"),
        item_done(item),
    )

    assert thought == Reasoning(text="a\n\nb", signature="x", origin="openai", summary=True, id="x")


def test_open_thought_is_told_as_it_comes() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"text": "hm"}]}

    assert blocks(delta("hm", "reasoning_text"), item_done(item)) == (Reasoning(text="hm", id="x"),)


def test_hidden_thought_is_whole_at_once() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}

    assert blocks(item_done(item)) == (Reasoning(redacted="x", origin="openai", id="rs_1"),)
    assert blocks(item_done({**item, "encrypted_content": None})) == ()


def test_what_openais_own_tools_do_is_carried_whole() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    progress = {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 0}

    assert blocks(progress, item_done(item)) == (Foreign(origin="openai", value=item),)


@pytest.mark.parametrize(
    ("response", "finish"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({}, "error"),
    ],
)
def test_an_incomplete_response_says_why(response: dict[str, Any], finish: str) -> None:
    end = {"type": "response.incomplete", "response": {**BEGUN, **response}}

    assert collected(CREATED, delta("a"), end).choices[0].finish == finish


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "response.failed",
            "response": {
                **BEGUN,
                "status": "failed",
                "error": {"code": "rate_limit_exceeded", "message": "Slow."},
            },
        },
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow.", "param": None},
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow."},
        },
    ],
)
def test_a_failure_ends_the_stream(event: dict[str, Any]) -> None:
    events = decoded([wire(CREATED, delta("a"), event, delta("b"))])

    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, ProviderError)
    assert (events[-1].error.status, events[-1].error.message) == (429, "Slow.")
    assert not any(isinstance(event, Finished) for event in events)


def test_an_error_may_be_the_first_event() -> None:
    (_, failed) = decoded([b'data: {"error":{"message":"Busy."}}\n\n'])

    assert isinstance(failed, Failed)


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n", b": ping\n\n"])
def test_what_follows_the_end_is_passed_over(end: bytes) -> None:
    assert decoded([wire(CREATED, DONE) + end]) == decoded([wire(CREATED, DONE)])


def test_the_last_event_needs_no_blank_line() -> None:
    assert decoded([wire(CREATED, DONE).rstrip()]) == decoded([wire(CREATED, DONE)])


@pytest.mark.parametrize("data", [b"", wire(CREATED), wire(CREATED, delta("a")), wire(CREATED, DONE)[:-20]])
def test_a_stream_without_its_end_is_told_as_cut(data: bytes) -> None:
    with pytest.raises(TruncatedStream):
        decoded([data])


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta"},
        {**delta("a"), "delta": 1},
        {**delta("a"), "output_index": []},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": 7}},
        {"type": "response.completed", "response": None},
    ],
)
def test_an_event_of_another_shape_is_a_value_error(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="shape"):
        decoded([wire(CREATED, event, DONE)])


def test_what_is_not_json_is_a_value_error() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # orjson's own
        decoded([b"data: {\n\n"])


def streamed(asked_for: AskedFor, answer: Answer) -> bytes:
    encoder = stream_encoder(asked_for())
    pieces = [piece for event in events_of(answer) for piece in encoder.feed(event)]
    return b"".join([*pieces, *encoder.close()])


@given(answer=answers(), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_cut_gives_the_same_events(asked_for: AskedFor, answer: Answer, data: st.DataObject) -> None:
    wired = streamed(asked_for, answer).replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n"])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wired)), max_size=9)))
    pieces = [wired[start:end] for start, end in zip([0, *cuts], [*cuts, len(wired)], strict=True)]

    assert decoded(pieces) == decoded([wired])


@given(answer=answers())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_written_reads_as_the_same_answer(asked_for: AskedFor, answer: Answer) -> None:
    collector = Collector()
    for event in decoded([streamed(asked_for, answer)]):
        collector.feed(event)

    (got,), (meant,) = collector.answer.choices, answer.choices
    assert [_nameless(block) for block in got.content] == [as_read(block) for block in meant.content]
    assert (got.finish, collector.answer.usage, collector.answer.model) == (
        meant.finish,
        answer.usage,
        answer.model,
    )


def _nameless(block: Any) -> Any:
    return msgspec.structs.replace(block, id="") if isinstance(block, Reasoning) else block


@given(answer=answers(), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_stream_cut_anywhere_never_ends_as_complete(
    asked_for: AskedFor, answer: Answer, data: st.DataObject
) -> None:
    wired = streamed(asked_for, answer)
    at = data.draw(st.integers(0, len(wired.rstrip()) - 1))

    with pytest.raises(TruncatedStream):
        decoded([wired[:at]])


@given(answer=answers(), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_broken_bytes_raise_nothing_but_value_errors(
    asked_for: AskedFor, answer: Answer, data: st.DataObject
) -> None:
    wired = bytearray(streamed(asked_for, answer))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(wired) - 1))
        wired[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"null", b"[]", b"1"])
        )

    try:
        events = decoded([bytes(wired)])
    except ValueError:
        return
    assert any(isinstance(event, Finished | Failed) for event in events)


@pytest.mark.parametrize("lacks", ["output_index", "content_index", "item_id"])
@pytest.mark.parametrize("instead", [None, ""])
def test_what_an_event_does_not_say_of_its_place_follows_from_the_item_before(
    lacks: str, instead: Any
) -> None:
    part = {"type": "output_text", "text": "ab", "annotations": []}
    told = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
        {**AT, "type": "response.content_part.added", "part": {**part, "text": ""}},
        delta("a"),
        delta("b"),
        {**AT, "type": "response.content_part.done", "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": {**MESSAGE, "content": [part]}},
    ]
    less = [{**event, lacks: instead} if lacks in event else event for event in told]

    assert decoded([wire(CREATED, *less, DONE)]) == decoded([wire(CREATED, *told, DONE)])


def test_calls_without_a_place_are_told_apart_by_their_ids() -> None:
    def item(name: str, arguments: str) -> dict[str, Any]:
        return {"type": "function_call", "id": name, "call_id": name, "name": "f", "arguments": arguments}

    more = "response.function_call_arguments.delta"
    told = [
        {"type": "response.output_item.added", "item": item("a", "")},
        {"type": "response.output_item.added", "item": item("b", "")},
        {"type": more, "item_id": "a", "delta": '{"a":1}'},
        {"type": more, "item_id": "b", "delta": '{"b":1}'},
        {"type": "response.output_item.done", "item": item("a", '{"a":1}')},
        {"type": "response.output_item.done", "item": item("b", '{"b":1}')},
    ]

    assert collected(CREATED, *told, DONE).choices[0].content == (
        ToolCall("a", "f", '{"a":1}'),
        ToolCall("b", "f", '{"b":1}'),
    )


def test_a_call_whose_name_comes_with_its_end_is_told_then() -> None:
    item = {"type": "function_call", "id": "a", "call_id": "a", "name": "", "arguments": ""}
    whole = {**item, "name": "f", "arguments": '{"a":1}'}
    told = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a":1}'},
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
    ]

    assert collected(CREATED, *told, DONE).choices[0].content == (ToolCall("a", "f", '{"a":1}'),)


def test_an_event_whose_type_stands_in_its_name_alone_is_of_that_type() -> None:
    nameless = (
        b"".join(
            b"event: "
            + event["type"].encode()
            + b"\ndata: "
            + orjson.dumps({**event, "type": None})
            + b"\n\n"
            for event in (CREATED, delta("a"), DONE)
        )
        .replace(b',"type":null', b"")
        .replace(b'"type":null,', b"")
    )

    assert decoded([nameless]) == decoded([wire(CREATED, delta("a"), DONE)])
