from __future__ import annotations

from typing import Any

import orjson
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmproxy_demo import chat
from llmproxy_demo.answers import Answer, answer_text


def stream(answer: Answer, *, include_usage: bool = False) -> list[ChatCompletionChunk]:
    events = [
        chat.opening(answer),
        *(chat.word(answer, piece) for piece in answer.pieces),
        *chat.closing(answer, include_usage=include_usage),
    ]
    assert events[-1] == b"data: [DONE]\n\n"
    chunks: list[Any] = [orjson.loads(event[6:]) for event in events[:-1]]
    return [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in chunks]


def test_a_whole_answer_is_valid_for_the_sdk() -> None:
    completion = ChatCompletion.model_validate(chat.completion(answer_text("Hello you", "echo", b"", 4)))

    assert completion.choices[0].message.content == "Hello you"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 6


def test_a_tool_call_is_valid_for_the_sdk() -> None:
    completion = ChatCompletion.model_validate(
        chat.completion(answer_text('[[tool f {"a":1}]]', "echo", b"", 4))
    )

    (call,) = completion.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("f", '{"a":1}')
    assert completion.choices[0].finish_reason == "tool_calls"


def test_a_streams_words_joined_are_the_answer() -> None:
    chunks = stream(answer_text("Hello you there", "echo", b"", 4))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello you there"
    assert len(chunks) == 5
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"


def test_a_streamed_tool_call_comes_in_pieces() -> None:
    chunks = stream(answer_text('[[tool f {"a": 1}]]', "echo", b"", 4))

    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    functions = [call.function for call in calls if call.function]
    assert functions[0].name == "f"
    assert "".join(function.arguments or "" for function in functions) == '{"a": 1}'


def test_usage_comes_last_where_it_is_asked_for() -> None:
    *_, last = stream(answer_text("Hi", "echo", b"", 4), include_usage=True)

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == 4
