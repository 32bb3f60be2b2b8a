from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from openai.types.responses import Response

from llmproxy.canonical import Answer, Choice, CountAnswer, EmbedAnswer, Text, ToolCall
from llmproxy.plugin import BadRequest, Usage
from llmproxy_openai.responses.answer_reader import read_answer
from llmproxy_openai.responses.answer_writer import encode_answer
from llmproxy_openai.responses.asked import asked_of

from .drawn import answers

if TYPE_CHECKING:
    from .conftest import AskedFor


def test_an_answer_is_a_response_that_the_sdk_reads(asked_for: AskedFor) -> None:
    content = (Text(text="It is "), Text(text="42."), ToolCall(id="c1", name="look", arguments='{"a":1}'))
    answer = Answer(
        model="m", choices=(Choice(content=content, finish="tool_calls"),), usage=Usage(1, 2, 0, 4, 8)
    )
    exchange = asked_for()

    reply = encode_answer(exchange, answer)
    response = Response.model_validate(orjson.loads(reply.body))  # type: ignore[arg-type]

    assert reply.status == 200
    assert response.id == asked_of(exchange).id
    assert response.output_text == "It is 42."
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens == 15


def test_an_answer_without_choices_is_incomplete(asked_for: AskedFor) -> None:
    value: dict[str, Any] = orjson.loads(encode_answer(asked_for(), Answer()).body)  # type: ignore[arg-type]

    assert (value["status"], value["output"], value["usage"]) == ("incomplete", [], None)


def test_a_count_is_a_count(asked_for: AskedFor) -> None:
    reply = encode_answer(asked_for(), CountAnswer(tokens=7))

    assert orjson.loads(reply.body) == {"object": "response.input_tokens", "input_tokens": 7}  # type: ignore[arg-type]


def test_vectors_are_no_response(asked_for: AskedFor) -> None:
    with pytest.raises(BadRequest):
        encode_answer(asked_for(), EmbedAnswer())


@given(answer=answers())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_as_the_same_answer(asked_for: AskedFor, answer: Answer) -> None:
    exchange = asked_for()

    again = read_answer(encode_answer(exchange, answer).body)  # type: ignore[arg-type]

    assert again.usage == answer.usage
    assert (again.model, again.created, again.choices[0].finish) == (
        answer.model,
        answer.created,
        answer.choices[0].finish,
    )
    assert len(again.choices[0].content) == len(answer.choices[0].content)
