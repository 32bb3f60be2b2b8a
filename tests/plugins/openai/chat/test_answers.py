from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Audio,
    Choice,
    Citation,
    Foreign,
    Image,
    Inline,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_openai.chat.answers import decode_answer, encode_answer, write_made_image, write_usage
from llmproxy_openai.usage import read_usage

from .drawn import KEYS, ODD, ODD_MESSAGES, USAGE, answers


def read(message: dict[str, Any], word: str | None = "stop", **more: Any) -> Choice:
    body = {"choices": [{"index": 0, "message": message, "finish_reason": word, **more}]}
    return decode_answer(body).choices[0]


def write(*content: Any, legacy: bool = False, **more: Any) -> dict[str, Any]:
    answer = Answer(choices=(Choice(content=content, **more),))
    return encode_answer(answer, name="chatcmpl-own", model="m", created=7, legacy=legacy)


@given(answers())
def test_an_answer_comes_back_as_it_went(answer: Answer) -> None:
    body = encode_answer(answer, name="", model="", created=0, legacy=False)

    assert decode_answer(orjson.loads(orjson.dumps(body))) == answer


@given(USAGE)
def test_counts_come_back_as_they_went(usage: Usage) -> None:
    told = write_usage(usage)

    assert told["total_tokens"] == usage.total
    assert read_usage(told) == usage


@pytest.mark.parametrize(
    ("message", "block"),
    [
        ({"content": "hi"}, Text("hi")),
        ({"content": [{"type": "text", "text": "hi"}]}, Text("hi")),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]}, Reasoning("so")),
        ({"content": None, "refusal": "no"}, Refusal("no")),
        ({"content": None, "reasoning": "so"}, Reasoning("so")),
        (
            {"content": "", "images": [{"image_url": {"url": "data:image/png;base64,AA=="}}]},
            Image(Inline("image/png", "AA==")),
        ),
        ({"audio": {"data": "AA==", "transcript": ""}}, Audio(Inline("audio/wav", "AA=="))),
        ({"audio": {"data": "", "transcript": "hi"}}, Text("hi")),
    ],
)
def test_a_message_is_read(message: dict[str, Any], block: Any) -> None:
    assert read(message).content == (block,)


def test_arguments_are_read_whatever_their_type() -> None:
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "b", "function": {"name": "f", "arguments": ""}},
        {
            "id": "c",
            "function": {"name": "f", "arguments": None},
            "extra_content": {"google": {"thought_signature": "s"}},
        },
    ]

    assert read({"content": None, "tool_calls": calls}).content == (
        ToolCall("a", "f", '{"x":1}'),
        ToolCall("b", "f"),
        ToolCall("c", "f", signature="s"),
    )


def test_ids_are_made_up_where_they_are_missing_or_the_same() -> None:
    calls = [
        {"function": {"name": "f"}},
        {"id": "x", "function": {"name": "f"}},
        {"id": "x", "function": {"name": "f"}},
    ]
    names = [block.id for block in read({"tool_calls": calls}).content if isinstance(block, ToolCall)]
    again = [block.id for block in read({"tool_calls": calls}).content if isinstance(block, ToolCall)]

    assert len(set(names)) == 3
    assert all(names)
    assert names == again


def test_a_function_call_is_a_tool_call_and_an_empty_one_is_none() -> None:
    called = read({"function_call": {"name": "f", "arguments": "{}"}}, "function_call")
    [call] = called.content

    assert isinstance(call, ToolCall)
    assert (call.name, called.finish) == ("f", "tool_calls")
    assert read({"content": "4", "function_call": {"name": "", "arguments": ""}}).content == (Text("4"),)


def test_free_text_calls_are_foreign() -> None:
    choice = read({"tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]})
    [block] = choice.content

    assert isinstance(block, Foreign)
    assert choice.finish == "tool_calls"


def test_sources_are_hung_on_the_text() -> None:
    cited = {
        "content": "a",
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}],
    }
    [text] = read(cited).content
    body = {"choices": [{"message": {"content": "a"}}], "citations": ["https://b.example"]}

    assert text == Text("a", citations=(Citation("url", "https://a.example"),))
    assert decode_answer(body).choices[0].content == (
        Text("a", citations=(Citation("url", "https://b.example"),)),
    )


def test_a_signature_without_text_is_kept() -> None:
    signed = {"content": None, "extra_content": {"google": {"thought_signature": "s"}}}

    assert read(signed).content == (Text("", signature="s"),)


def test_what_a_broken_server_says_is_mended() -> None:
    answer = decode_answer({"created": "12.5", "model": None, "choices": [{"message": {"content": "a"}}]})

    assert (answer.created, answer.model, answer.choices[0].finish) == (12, "", None)
    assert decode_answer({"created": "soon", "choices": [{"message": {}}]}).created == 0
    assert (
        decode_answer({"created": 1_795_000_000_123, "choices": [{"message": {}}]}).created == 1_795_000_000
    )


def test_how_it_stopped_is_read() -> None:
    assert read({"content": "a"}, stop_reason="END").stop_sequence == "END"
    assert read({"content": "a"}, "length", stop_reason="END").stop_sequence is None
    assert read({"content": "a"}, logprobs={"content": []}).logprobs == {"content": []}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"choices": []},
        {"choices": 7},
        {"choices": [7]},
        {"choices": [{}]},
        {"choices": [{"message": 7}]},
    ],
)
def test_what_is_no_answer_is_none(body: Any) -> None:
    with pytest.raises(ValueError, match=r"chat completion|choice"):
        decode_answer(body)


@given(st.dictionaries(st.sampled_from(KEYS), ODD, max_size=4), ODD_MESSAGES)
def test_whatever_comes_is_read_or_a_fault(body: dict[str, Any], message: dict[str, Any]) -> None:
    choices = [{**body, "message": message}]
    try:
        answer = decode_answer({**body, "choices": choices})
    except (ValueError, GatewayError):
        return
    assert orjson.dumps(encode_answer(answer, name="x", model="m", created=1, legacy=False))


def test_an_error_in_a_good_status_is_an_error() -> None:
    with pytest.raises(GatewayError, match="too much") as caught:
        decode_answer({"error": {"message": "too much", "code": 429}})

    assert caught.value.status == 429


def test_an_answer_has_all_that_clients_read() -> None:
    body = write(Text("hi"), finish="stop")

    assert body == {
        "id": "chatcmpl-own",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "system_fingerprint": None,
    }


def test_callers_of_functions_get_one() -> None:
    body = write(ToolCall("c1", "f"), finish="tool_calls", legacy=True)
    choice = body["choices"][0]

    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_foreign_thought_shows_as_text_and_brings_its_signature() -> None:
    message = write(Reasoning("so", "sig", origin="anthropic"), Text("a"))["choices"][0]["message"]

    assert message["reasoning_content"] == "so"
    assert message["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "so",
            "signature": "sig",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]
    assert "reasoning_details" not in write(Reasoning("so"))["choices"][0]["message"]


def test_what_has_no_plain_place_stands_beside_it() -> None:
    content = (
        Text("a", signature="s"),
        Audio(Inline("audio/wav", "AA==")),
        Foreign("openai", {"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"}),
        Foreign("anthropic", {"type": "server_tool_use"}),
    )
    choice = write(*content, finish="malformed", detail="MALFORMED")["choices"][0]
    message = choice["message"]

    assert message["audio"] == {"id": "audio_7_0", "data": "AA==", "expires_at": 3607, "transcript": ""}
    assert message["extra_content"] == {"google": {"thought_signature": "s"}}
    assert [call["type"] for call in message["tool_calls"]] == ["custom"]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("content_filter", "MALFORMED")


def test_an_empty_answer_has_empty_content() -> None:
    assert write(finish="stop")["choices"][0]["message"]["content"] == ""


def test_a_made_picture_is_a_data_url() -> None:
    url = {"url": "data:image/png;base64,AA=="}

    assert write_made_image(Image(Inline("image/png", "AA=="))) == {"type": "image_url", "image_url": url}


@pytest.mark.shared
def test_every_recorded_answer_says_the_same_again(chats: list[dict[str, Any]], judge: Any) -> None:
    compared, changed, sums = 0, [], []
    for record in chats:
        body = record["response"].get("body")
        truth = judge.parse_response("openai.chat", record["response"])
        if record["response"]["status"] >= 400 or not isinstance(body, dict) or truth.error:
            continue
        answer = decode_answer(body)
        told = body.get("usage") or {}
        if told.get("total_tokens"):
            sums.append((answer.usage.total if answer.usage else None, told["total_tokens"]))
        legacy = bool((body["choices"][0]["message"].get("function_call") or {}).get("name"))
        again = encode_answer(answer, name="x", model="m", created=1, legacy=legacy)
        reply = {"status": 200, "headers": {}, "body": again}
        # Some completion tokens leave out thoughts that the total counts; those here do not.
        apart = (told.get("total_tokens") or 0) > (told.get("prompt_tokens") or 0) + (
            told.get("completion_tokens") or 0
        )
        problems, _ = judge.compare(
            truth, judge.parse_response("openai.chat", reply), "openai.chat", "off" if apart else "totals"
        )
        problems += judge.shape_problems("openai.chat", reply)
        compared += 1
        if problems:
            changed.append((record["id"], problems))

    assert changed == []
    assert [pair for pair in sums if pair[0] != pair[1]] == []
    assert compared > 500


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "later", "code": 503},
        {"error": {"message": "later"}, "choices": [{"index": 0, "finish_reason": "error"}]},
    ],
)
def test_an_error_under_a_good_status_is_one_in_other_shapes_too(body: Any) -> None:
    with pytest.raises(GatewayError, match="later"):
        decode_answer(body)
