from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Answer, Choice, Text, ToolCall
from llmproxy.plugin import GatewayError, ProviderError, Usage
from llmproxy_openai.responses.answer_reader import failure_of, read_answer

PART = {"type": "output_text", "text": "hi", "annotations": [], "logprobs": [{"token": "hi", "logprob": -1}]}
MESSAGE = {"type": "message", "role": "assistant", "content": [PART]}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7.0,
    "model": "m",
    "status": "completed",
    "error": None,
    "output": [MESSAGE],
    "service_tier": "default",
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    },
}


def read(**members: Any) -> Answer:
    return read_answer(orjson.dumps({**RESPONSE, **members}))


def test_a_response_is_an_answer() -> None:
    assert read() == Answer(
        id="resp_1",
        model="m",
        created=7,
        choices=(
            Choice(
                content=(Text(text="hi"),),
                finish="stop",
                detail="completed",
                logprobs={"content": [{"token": "hi", "logprob": -1}]},
            ),
        ),
        usage=Usage(5, 4, 1, 3, 2),
        service_tier="default",
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": "rate_limit_exceeded", "message": "Slow."}, 429),
        ({"code": "server_error", "message": "Oops."}, 500),
        (None, 500),
    ],
)
def test_a_failed_response_is_an_error(error: Any, status: int) -> None:
    with pytest.raises(ProviderError) as caught:
        read(status="failed", error=error, output=[])

    assert caught.value.status == status
    assert caught.value.message


def test_an_error_in_a_good_status_is_an_error() -> None:
    with pytest.raises(GatewayError, match="Odd"):
        read_answer(b'{"error":{"message":"Odd."}}')


def test_a_failure_says_what_the_provider_said() -> None:
    assert failure_of({"error": {"code": "invalid_prompt", "message": "No."}}).message == "No."


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":1}', b'{"choices":[]}', b"x"])
def test_what_is_no_response_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any of them
        read_answer(body)


json = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "content", "text", "summary", "annotations", "logprobs", "name", "arguments"]
            ),
            inner | st.sampled_from(["message", "function_call", "reasoning", "output_text"]),
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["output", "usage", "status", "incomplete_details", "error", "id", "created_at"]),
        json,
    )
)
def test_nothing_but_the_documented_errors_comes_of_odd_answers(told: dict[str, Any]) -> None:
    try:
        answer = read(**told)
    except (GatewayError, ValueError):
        return
    assert isinstance(answer, Answer)


def test_arguments_may_be_the_object_that_they_are_and_a_message_a_text_alone() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": {"a": 1}}
    answer = read(output=[{"type": "message", "content": "hi"}, call])

    assert answer.choices[0].content == (Text(text="hi"), ToolCall("a", "f", '{"a":1}'))


def test_an_error_event_in_the_place_of_a_response_is_an_error() -> None:
    with pytest.raises(GatewayError, match="later") as raised:
        read_answer(b'{"type":"error","code":"rate_limit_exceeded","message":"later"}')

    assert raised.value.status == 429
