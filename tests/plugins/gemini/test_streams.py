from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import whole

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Citation,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import ProviderError, Usage
from llmproxy_gemini.answers import read_answer
from llmproxy_gemini.streams import ChunkDecoder

from .conftest import streamed


def sse(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\r\n\r\n" for chunk in chunks)


def chunk(*parts: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": index, **more}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


STOP = chunk({"text": ""}, finishReason="STOP")


def decoded(*pieces: bytes) -> list[StreamEvent]:
    decoder = ChunkDecoder()
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.close()]


def collected(events: list[StreamEvent]) -> Answer:
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.answer


def test_text_of_consecutive_chunks_is_one_block() -> None:
    counted = {"usageMetadata": {"promptTokenCount": 3}}
    last = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}

    events = decoded(sse(chunk({"text": "He"}) | counted, chunk({"text": "llo"}), STOP | last))

    assert events == [
        Started("r", "m", 0, Usage(3, 0, 0, 0, 0)),
        BlockStarted(0, Text(text="")),
        Delta(0, "He"),
        Delta(0, "llo"),
        BlockEnded(0),
        Finished("stop", None, "STOP"),
        Counted(Usage(3, 0, 0, 2, 0)),
    ]


def test_thoughts_texts_and_calls_are_blocks_of_their_own() -> None:
    events = decoded(
        sse(
            chunk({"text": "Hm", "thought": True}),
            chunk({"text": "So"}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}),
            chunk({"functionCall": {"id": "c", "name": "g"}}),
            chunk({"executableCode": {"code": "1"}}),
            STOP,
        )
    )

    content = collected(events).choices[0].content
    assert content[0] == Reasoning(text="Hm", origin="gemini")
    assert content[1] == Text(text="So")
    assert isinstance(content[2], ToolCall)
    assert (content[2].name, content[2].arguments, content[2].signature) == ("f", '{"a":1}', "s")
    assert content[2].id
    assert content[3] == ToolCall(id="c", name="g")
    assert content[4] == Foreign(origin="gemini", value={"executableCode": {"code": "1"}})
    assert events[-1] == Finished("tool_calls", None, "STOP")


def test_a_signature_on_an_empty_text_signs_the_block_before() -> None:
    events = decoded(
        sse(chunk({"text": "Hi"}), chunk({"text": "", "thoughtSignature": "s"}), chunk({"text": "!"}), STOP)
    )

    assert Signed(0, "s") in events
    assert collected(events).choices[0].content == (Text(text="Hi", signature="s"), Text(text="!"))


def test_a_reason_with_every_chunk_ends_nothing_before_the_end() -> None:
    events = decoded(sse(*[chunk({"text": "a"}, finishReason="STOP")] * 3))

    assert [type(event) for event in events[-2:]] == [BlockEnded, Finished]
    assert collected(events).choices[0].content == (Text(text="aaa"),)


def test_choices_have_blocks_of_their_own() -> None:
    events = decoded(
        sse(
            chunk({"text": "a"}),
            chunk({"text": "b"}, index=1),
            chunk({"text": "A"}, finishReason="STOP"),
            chunk({"text": "B"}, index=1, finishReason="MAX_TOKENS"),
        )
    )

    first, second = collected(events).choices
    assert (first.content, first.finish) == ((Text(text="aA"),), "stop")
    assert (second.content, second.finish) == ((Text(text="bB"),), "length")


def test_arguments_that_come_piece_by_piece_are_one_call() -> None:
    events = decoded(
        sse(
            chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "s"}),
            chunk(
                {
                    "functionCall": {
                        "partialArgs": [{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}],
                        "willContinue": True,
                    }
                }
            ),
            chunk({"functionCall": {}}),
            chunk({"functionCall": {"name": "g", "willContinue": True}}),
            chunk({"functionCall": {"name": "h", "willContinue": True}}),
            chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.b", "numberValue": 1}]}}),
            chunk({"functionCall": {}}),
            STOP,
        )
    )

    calls = [block for block in collected(events).choices[0].content if isinstance(block, ToolCall)]
    assert [(call.name, call.arguments, call.signature) for call in calls] == [
        ("f", '{"a":"x"}', "s"),
        ("g", "{}", ""),
        ("h", '{"b":1}', ""),
    ]


def test_a_call_whose_end_never_came_ends_with_the_answer() -> None:
    events = decoded(sse(chunk({"functionCall": {"name": "f", "willContinue": True}}), STOP))

    assert events[-1] == Finished("tool_calls", None, "STOP")


def test_citations_come_before_their_text_ends() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]}

    events = decoded(sse(chunk({"text": "Hi"}), STOP, chunk(groundingMetadata=grounding)))

    (text,) = collected(events).choices[0].content
    assert text == Text(text="Hi", citations=(Citation(kind="url", url="u", title="t"),))


def test_log_probabilities_come_with_the_text() -> None:
    result = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.5}]}

    answer = collected(decoded(sse(chunk({"text": "Hi"}, logprobsResult=result), STOP)))

    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs["content"][0]["token"] == "Hi"


def test_a_prompt_that_is_blocked_ends_at_once() -> None:
    events = decoded(
        sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    )

    assert events[1:] == [Finished("content_filter", None, "SAFETY"), Counted(Usage(3, 0, 0, 0, 0))]


def test_an_error_in_the_stream_ends_it() -> None:
    error = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}

    *_, failed = decoded(sse(chunk({"text": "Hi"}), error, STOP))

    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ProviderError)
    assert (failed.error.status, failed.error.kind) == (503, "overloaded")


@pytest.mark.parametrize(
    "data",
    [b"", sse(chunk({"text": "Hi"})), sse(STOP)[:-5], b"data: {", sse({"usageMetadata": {}})],
)
def test_a_stream_without_an_end_is_not_whole(data: bytes) -> None:
    with pytest.raises(TruncatedStream):
        decoded(data)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b"data: 3\n\n",
        sse({"serverContent": {}}),
        sse({"candidates": 3}),
        sse({"candidates": [3]}),
        sse({"candidates": [{"index": -1}]}),
        sse({"candidates": [{"index": 10**9}]}),
        sse({"candidates": [{"content": {"parts": 3}}]}),
        sse({"candidates": [{"content": {"parts": [3]}}]}),
        sse(chunk({"functionCall": {"args": 3}})),
        sse(chunk({"functionCall": {"partialArgs": [{"jsonPath": "?"}]}})),
    ],
)
def test_what_is_no_stream_of_this_dialect_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(data)


def test_comments_and_foreign_ends_are_passed_over() -> None:
    events = decoded(b": ping\n\n" + sse(STOP) + b"data: [DONE]\n\n: bye")

    assert events[-1] == Finished("stop", None, "STOP")


FULL = sse(
    chunk({"text": "Hé", "thought": True}),
    chunk({"text": "ä\n\n"}),
    chunk({"functionCall": {"name": "f", "args": {"a": "ü"}}}),
    STOP | {"usageMetadata": {"promptTokenCount": 3}},
)


@given(st.lists(st.integers(0, len(FULL)), max_size=8))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(FULL)]

    pieces = [FULL[a:b] for a, b in pairwise(places)]

    assert decoded(*pieces) == decoded(FULL)


@given(st.integers(0, len(FULL.rstrip()) - 1))
def test_no_part_of_a_stream_is_whole(length: int) -> None:
    with pytest.raises(TruncatedStream):
        decoded(FULL[:length])


@pytest.mark.parametrize("tail", [b"", b"\r", b"\r\n", b"\r\n\r"])
def test_a_last_chunk_that_no_blank_line_ends_counts_as_it_is_whole(tail: bytes) -> None:
    assert decoded(FULL.rstrip() + tail) == decoded(FULL)


def test_an_error_that_no_blank_line_ends_is_told() -> None:
    told = decoded(sse(chunk({"text": "a"})) + b'data: {"error": {"code": 503, "message": "later"}}')

    assert isinstance(told[-1], Failed)
    assert told[-1].error.message == "later"


@pytest.mark.parametrize(
    "odd", [{"index": None}, {"index": "0"}, {"content": {"parts": None}}, {"content": None}]
)
def test_members_of_a_candidate_that_say_nothing_are_passed_over(odd: dict[str, Any]) -> None:
    bare = {"candidates": [{"content": {"parts": [{"text": "a"}]}, **odd}]}
    told = decoded(sse(chunk({"text": "b"}), bare, STOP, {"candidates": [{"finishReason": None}]}))

    assert isinstance(told[-1], Finished)
    assert told[-1].reason == "stop"


def test_a_prompt_that_was_blocked_may_come_with_no_candidates_or_an_empty_list_of_them() -> None:
    blocked = {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokenCount": 3}}

    assert decoded(sse(blocked | {"candidates": []})) == decoded(sse(blocked))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9**9) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates",
                    "content",
                    "parts",
                    "text",
                    "thought",
                    "functionCall",
                    "args",
                    "name",
                    "index",
                    "finishReason",
                    "error",
                    "groundingMetadata",
                    "groundingChunks",
                    "partialArgs",
                    "jsonPath",
                    "willContinue",
                    "usageMetadata",
                    "promptFeedback",
                    "blockReason",
                    "logprobsResult",
                    "inlineData",
                    "functionResponse",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.lists(
        JSON | st.builds(lambda part: {"candidates": [{"content": {"parts": [part]}}]}, JSON), max_size=4
    )
)
def test_whatever_comes_nothing_but_the_documented_error_comes_out(chunks: list[Any]) -> None:
    data = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    try:
        decoded(data)
    except ValueError:
        return


@given(st.binary(max_size=200))
def test_whatever_bytes_come_neither(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(data)


def test_recorded_streams_are_whole(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        answer = collected(decoded(data))

        assert answer.usage is not None, record["id"]
        assert all(choice.finish for choice in answer.choices)
        assert answer.id


def test_recorded_answers_of_one_chunk_read_the_same_streamed(recordings: list[dict[str, Any]]) -> None:
    for record, body in whole(recordings, "gemini.generate"):
        told = orjson.loads(body)
        parts = told["candidates"][0].get("content", {}).get("parts", [])
        texts = [part for part in parts if "text" in part]
        if len(texts) < 2:
            assert collected(decoded(sse(told))) == read_answer(told), record["id"]
