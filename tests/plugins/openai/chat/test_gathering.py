"""Pieces of an answer, put together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Untellable
from llmproxy_openai.chat.gathering import Gathered, joined


def gathered(*deltas: dict[str, Any], **choice: Any) -> Any:
    answer = Gathered()
    for delta in deltas:
        answer.take({"id": "c", "choices": [{"index": 0, "delta": delta, **choice}]})
    return answer.whole()["choices"][0]


def test_what_is_named_once_keeps_its_first_name_and_the_rest_its_last():
    answer = Gathered()
    answer.take(
        {"id": "", "model": "", "created": 0, "object": "", "prompt_filter_results": [1], "choices": []}
    )
    answer.take({"id": "c", "model": "m", "created": 7, "system_fingerprint": "a", "choices": []})
    answer.take(
        {"id": "d", "model": "n", "system_fingerprint": "b", "service_tier": "default", "choices": []}
    )

    assert answer.whole() == {
        "object": "chat.completion",
        "id": "c",
        "model": "m",
        "created": 7,
        "prompt_filter_results": [1],
        "system_fingerprint": "b",
        "service_tier": "default",
        "choices": [],
        "usage": None,
    }


def test_padding_and_tokens_numbers_are_of_the_stream_alone():
    choice = gathered(
        {"content": "a", "token_id": 1, "obfuscation": "x"}, {"content": "b", "token_id": 2}, text="a"
    )

    assert choice["message"] == {"role": "assistant", "content": "ab"}
    assert "text" not in choice


def test_what_the_filter_found_is_added_up():
    answer = Gathered()
    for found in ({"hate": {"filtered": False}}, {"self_harm": {"filtered": True}}):
        answer.take({"choices": [{"index": 0, "delta": {}, "content_filter_results": found}]})

    [choice] = answer.whole()["choices"]
    assert choice["content_filter_results"] == {"hate": {"filtered": False}, "self_harm": {"filtered": True}}


def test_thoughts_of_one_number_are_one_and_end_signed():
    detail = {"type": "reasoning.text", "index": 0, "format": "x"}
    message = gathered(
        {"reasoning_details": [{**detail, "text": "", "signature": ""}]},
        {"reasoning_details": [{**detail, "text": "let "}]},
        {"reasoning_details": [{**detail, "text": "me"}]},
        {"reasoning_details": [{**detail, "signature": "c2ln"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "x"}]},
    )["message"]

    assert message["reasoning_details"] == [
        {**detail, "text": "let me", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]


def test_the_function_call_of_old_is_put_together():
    message = gathered(
        {"function_call": {"name": "look", "arguments": ""}},
        {"function_call": {"arguments": '{"x"'}},
        {"function_call": {"arguments": ":1}"}},
    )["message"]

    assert message["function_call"] == {"name": "look", "arguments": '{"x":1}'}


def test_scores_of_tokens_follow_one_another():
    answer = Gathered()
    for token in "ab":
        score = {"content": [{"token": token}], "refusal": None}
        answer.take({"choices": [{"index": 0, "delta": {"content": token}, "logprobs": score}]})

    [choice] = answer.whole()["choices"]
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_calls_without_numbers_are_told_apart():
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = gathered({"tool_calls": [{**call, "id": "a"}]}, {"tool_calls": [{**call, "id": "b"}]})[
        "message"
    ]

    assert [each["id"] for each in message["tool_calls"]] == ["a", "b"]


@given(st.lists(st.text(max_size=4)))
def test_texts_are_joined_to_a_text(pieces):
    assert joined(list(pieces)) == "".join(pieces)


def test_mistrals_parts_are_joined_kind_by_kind():
    def thought(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}

    assert joined(["", thought("let "), thought("me", closed=True), "4", "2", {"type": "reference"}]) == [
        thought("let me", closed=True),
        {"type": "text", "text": "42"},
        {"type": "reference"},
    ]


@pytest.mark.parametrize("delta", [{"audio": {"id": "a"}}, {"tool_calls": [{"index": 0, "mood": "b"}]}])
def test_what_is_not_known_to_come_in_pieces_is_not_put_together(delta):
    with pytest.raises(Untellable):
        gathered({"tool_calls": [{"index": 0, "id": "x", "mood": "a"}]}, delta)


def test_an_error_among_the_chunks_ends_all():
    with pytest.raises(Untellable):
        Gathered().take({"error": {"message": "no"}})
