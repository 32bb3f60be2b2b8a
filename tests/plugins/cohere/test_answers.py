from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import whole
from tests.proxy.canonical.made import ANSWERS

from llmproxy.canonical import Answer, Choice, Citation, Reasoning, Text, ToolCall
from llmproxy.plugin import GatewayError, Usage
from llmproxy_cohere.answers import decode_answer, encode_answer

SAID = {
    "id": "a1",
    "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi you"}],
        "citations": [
            {
                "start": 3,
                "end": 6,
                "text": "you",
                "sources": [{"type": "document", "id": "d", "document": {"id": "d", "title": "T"}}],
                "content_index": 1,
                "type": "TEXT_CONTENT",
            }
        ],
    },
    "usage": {
        "billed_units": {"input_tokens": 9, "output_tokens": 5},
        "tokens": {"input_tokens": 9, "output_tokens": 5, "reasoning_tokens": 2},
        "cached_tokens": 4,
    },
}


def test_an_answer_has_thoughts_text_and_sources() -> None:
    answer = decode_answer(SAID)

    source = Citation(kind="file", title="T", file_id="d", text_start=3, text_end=6)
    assert answer == Answer(
        id="a1",
        choices=(
            Choice(
                content=(Reasoning("Hm", origin="cohere"), Text("Hi you", citations=(source,))),
                finish="stop",
                detail="COMPLETE",
            ),
        ),
        usage=Usage(5, 4, 0, 3, 2),
    )
    assert encode_answer(answer, "other") == SAID


def test_a_plan_comes_before_calls_and_null_is_no_arguments() -> None:
    call = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "null"}}
    message = {"role": "assistant", "tool_plan": "I will.", "tool_calls": [call]}

    [choice] = decode_answer({"finish_reason": "TOOL_CALL", "message": message}).choices

    assert choice.content == (
        Reasoning("I will.", origin="cohere", id="tool_plan"),
        ToolCall("f_1", "f", "{}"),
    )
    assert choice.finish == "tool_calls"


def test_an_answer_that_failed_with_nothing_said_is_an_error() -> None:
    with pytest.raises(GatewayError) as failed:
        decode_answer({"finish_reason": "TIMEOUT", "message": {"role": "assistant"}})
    assert failed.value.status == 504

    half = {"finish_reason": "ERROR", "message": {"content": [{"type": "text", "text": "Hi"}]}}
    assert decode_answer(half).choices[0].finish == "error"


def test_an_error_under_a_good_status_is_one() -> None:
    with pytest.raises(GatewayError):
        decode_answer({"message": "no such model"})


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"message": 3},
        {"message": {"content": [3]}},
        {"message": {"content": [{"type": "text", "text": 3}]}},
        {"message": {"tool_calls": [{}]}},
    ],
)
def test_what_is_no_answer_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"answer|call"):
        decode_answer(told)


@given(ANSWERS)
def test_any_answer_can_be_written_and_read_again(answer: Answer) -> None:
    body = encode_answer(answer, "n")

    try:
        again = decode_answer(orjson.loads(orjson.dumps(body)))
    except GatewayError:
        assert body["finish_reason"] == "ERROR"
        return
    settled = decode_answer(encode_answer(again, "n"))

    assert settled.choices[0].content == again.choices[0].content
    assert decode_answer(encode_answer(settled, "n")) == settled


@given(
    st.dictionaries(st.sampled_from(["message", "finish_reason", "usage", "id"]), st.integers() | st.text())
)
def test_whatever_comes_is_read_or_refused(told: dict[str, Any]) -> None:
    with suppress(GatewayError, ValueError):
        decode_answer(told)


def test_golden_every_recorded_answer_is_told_again_as_it_was(
    recordings: list[dict[str, Any]], judge: Any
) -> None:
    for record, body in whole(recordings, "cohere.chat_v2"):
        told = orjson.loads(body)
        if "message" in told and "null-args" not in record["cassette"]:
            truth = judge.parse_response("cohere.chat_v2", record["response"])
            again = encode_answer(decode_answer(told), "n")
            have = judge.parse_response("cohere.chat_v2", {"status": 200, "headers": {}, "body": again})

            assert judge.compare(truth, have, "cohere.chat_v2", "full", False)[0] == [], record["id"]
