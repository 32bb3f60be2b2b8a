from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
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
    Image,
    Inline,
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_gemini.chunks import ChunkEncoder
from llmproxy_gemini.streams import ChunkDecoder

from .conftest import streamed


def encoded(*events: StreamEvent, sse: bool = True) -> bytes:
    encoder = ChunkEncoder(events=sse)
    return b"".join([*(piece for event in events for piece in encoder.feed(event)), *encoder.close()])


def chunks(data: bytes) -> list[Any]:
    *events, rest = data.split(b"\r\n\r\n")
    assert rest == b""
    assert all(event.startswith(b"data: ") for event in events)
    return [orjson.loads(event[6:]) for event in events]


def answered(data: bytes) -> Answer:
    decoder, collector = ChunkDecoder(), Collector()
    for event in [*decoder.feed(data), *decoder.close()]:
        collector.feed(event)
    return collector.answer


def test_each_delta_is_a_chunk_and_the_last_one_tells_the_end() -> None:
    events = [
        Started("r", "m", 0, Usage(3)),
        BlockStarted(0, Text(text="")),
        Delta(0, "Hé"),
        Delta(0, "\n"),
        BlockEnded(0),
        Finished("stop"),
        Counted(Usage(3, 0, 0, 2, 0)),
    ]

    first, second, last = chunks(encoded(*events))

    marks = {"modelVersion": "m", "responseId": "r"}
    assert first == {
        "candidates": [{"content": {"parts": [{"text": "Hé"}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 0, "totalTokenCount": 3},
        **marks,
    }
    assert second == {
        "candidates": [{"content": {"parts": [{"text": "\n"}], "role": "model"}, "index": 0}],
        **marks,
    }
    assert last == {
        "candidates": [
            {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        **marks,
    }


def test_a_call_leaves_whole() -> None:
    events = [
        Started("r", "m"),
        BlockStarted(0, ToolCall(id="c", name="f", arguments="")),
        Delta(0, '{"a"'),
        Delta(0, ":1}"),
        Signed(0, "s"),
        BlockEnded(0),
        Finished("tool_calls"),
    ]

    first, last = chunks(encoded(*events))

    assert first["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}
    ]
    assert last["candidates"][0]["finishReason"] == "STOP"


def test_a_block_that_was_never_ended_leaves_with_the_end() -> None:
    events = [Started(), BlockStarted(0, ToolCall(id="c", name="f")), Finished("tool_calls")]

    first, _ = chunks(encoded(*events))

    assert first["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c", "name": "f", "args": {}}}
    ]


CONTENT = (
    Reasoning(text="Hm", signature="s", origin="anthropic"),
    Reasoning(redacted="r", origin="anthropic"),
    Text(text="Hé", signature="t"),
    Text(text="So", citations=(Citation(kind="url", url="u", title="t", text_start=0, text_end=2),)),
    Image(source=Inline(media_type="image/png", data="QQ==")),
    Foreign(origin="gemini", value={"executableCode": {"code": "1"}}),
)


def test_every_block_reaches_the_caller() -> None:
    data = encoded(*events_of(Answer(id="r", choices=(Choice(content=CONTENT, finish="stop"),))))

    parts = [part for told in chunks(data) for c in told["candidates"] for part in c["content"]["parts"]]

    texts = [part["text"] for part in parts if "text" in part]
    assert texts == ["Hm", "", "", "Hé", "", "So", ""]
    assert [part.get("thought", False) for part in parts[:4]] == [True, True, True, False]
    assert parts[6:8] == [
        {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
        {"executableCode": {"code": "1"}},
    ]
    last = chunks(data)[-1]["candidates"][0]
    assert last["groundingMetadata"]["groundingSupports"][0]["segment"]["text"] == "So"


def test_a_refusal_is_text() -> None:
    events = [
        Started(),
        BlockStarted(0, Refusal(text="")),
        Delta(0, "No"),
        BlockEnded(0),
        Finished("refusal"),
    ]

    first, last = chunks(encoded(*events))

    assert first["candidates"][0]["content"]["parts"] == [{"text": "No"}]
    assert last["candidates"][0]["finishReason"] == "SAFETY"


def test_choices_keep_their_index() -> None:
    answer = Answer(choices=tuple(Choice(content=(Text(text=t),), finish="stop") for t in "ab"))

    *_, last = told = chunks(encoded(*events_of(answer)))

    assert [c["index"] for each in told for c in each["candidates"]] == [0, 1, 0, 1]
    assert len(last["candidates"]) == 2


def test_log_probabilities_stand_in_their_chunk() -> None:
    logprobs = {"content": [{"token": "Hi", "logprob": -0.5, "top_logprobs": []}]}
    events = [Started(), BlockStarted(0, Text(text="")), Delta(0, "Hi", logprobs), Finished("stop")]

    first, _ = chunks(encoded(*events))

    assert first["candidates"][0]["logprobsResult"]["chosenCandidates"] == [
        {"token": "Hi", "logProbability": -0.5}
    ]


def test_citations_of_an_ended_text_are_kept_for_the_end() -> None:
    events = [
        Started(),
        BlockStarted(0, Text(text="")),
        Delta(0, "Hi"),
        Cited(0, Citation(kind="url", url="u", title="t")),
        BlockEnded(0),
        Finished("stop"),
    ]

    *_, last = chunks(encoded(*events))

    assert last["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "u", "title": "t"}}]
    }


@pytest.mark.parametrize("sse", [True, False])
def test_an_error_is_the_last_chunk(sse: bool) -> None:
    events = [
        Started(),
        BlockStarted(0, Text(text="")),
        Delta(0, "Hi"),
        Failed(GatewayError(503, "overloaded", "Busy.")),
    ]

    data = encoded(*events, sse=sse)

    told = chunks(data) if sse else orjson.loads(data)
    assert len(told) == 2
    assert told[1]["error"]["status"] == "UNAVAILABLE"
    assert told[1]["usageMetadata"] == {}


def test_without_events_the_stream_is_one_array() -> None:
    events = list(events_of(Answer(id="r", choices=(Choice(content=CONTENT, finish="stop"),))))

    assert orjson.loads(encoded(*events, sse=False)) == chunks(encoded(*events))
    encoder = ChunkEncoder(events=False)
    encoder.feed(Failed(GatewayError(503, "overloaded", "Busy.")))
    assert b"".join(encoder.close()) == b"\n]\n"


def test_recorded_streams_come_back(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        decoder = ChunkDecoder()
        events = [*decoder.feed(data), *decoder.close()]
        collector = Collector()
        for event in events:
            collector.feed(event)

        assert answered(encoded(*events)) == collector.answer, record["id"]
