from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llmproxy_demo import responses
from llmproxy_demo.answers import Answer, answer_text

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def stream(answer: Answer) -> list[Any]:
    events = responses.Events(answer)
    raw = [*events.opening(), *map(events.word, answer.pieces), *events.closing()]
    data = [orjson.loads(event.partition(b"data: ")[2]) for event in raw]
    assert [event.split(b"\n")[0] for event in raw] == [b"event: " + d["type"].encode() for d in data]
    return [EVENT.validate_python(each) for each in data]


def test_a_whole_answer_is_valid_for_the_sdk() -> None:
    response = Response.model_validate(responses.response(answer_text("Hello you", "echo", b"", 4)))

    assert response.output_text == "Hello you"
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens == 6


@pytest.mark.parametrize("message", ["Hello you there", '[[tool f {"a": 1}]]'])
def test_a_stream_is_valid_for_the_sdk_and_counts_its_events(message: str) -> None:
    answer = answer_text(message, "echo", b"", 4)
    events = stream(answer)

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert "".join(event.delta for event in events if event.type.endswith(".delta")) == answer.text
    assert events[-1].type == "response.completed"
    assert events[-1].response == Response.model_validate(responses.response(answer))


def test_a_tool_call_is_an_item_of_its_own() -> None:
    response = Response.model_validate(responses.response(answer_text('[[tool f {"a":1}]]', "echo", b"", 4)))

    (call,) = response.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("f", '{"a":1}')
