"""Chat completions in their other forms."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.retold import both_ways

from llmproxy.plugin import Form, Untellable
from llmproxy_openai.chat.retelling import retell

WHOLE = Form("openai", "chat")


def told(body: bytes, here: Form, there: Form) -> bytes:
    return retell(body, streamed=here.streamed, stream=there.streamed)


def completion(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "logprobs": None,
        "finish_reason": "stop",
    }
    head = {"id": "chatcmpl-7", "object": "chat.completion", "created": 17, "model": "m-2026"}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return {**head, "choices": [choice | more.pop("choice", {})], "usage": usage, **more}


def there_and_back(whole: dict[str, Any]) -> Any:
    stream = retell(orjson.dumps(whole), streamed=False, stream=True)
    return orjson.loads(retell(stream, streamed=True, stream=False))


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps(
        {"id": "c", "model": "m", "created": 1, "choices": [choice], **more}
    )


USAGE = (
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
)
DONE = b"data: [DONE]\n\n"


def gathered(*chunks: bytes) -> Any:
    return orjson.loads(retell(b"".join(chunks) + USAGE + DONE, streamed=True, stream=False))


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hello", "refusal": None, "annotations": []},
        {"content": None, "refusal": "No."},
        {"content": "4", "reasoning_content": "2 + 2"},
        {
            "content": "4",
            "reasoning": "2 + 2",
            "reasoning_details": [{"type": "reasoning.text", "text": "2"}],
        },
        {"content": "", "function_call": {"name": "look", "arguments": '{"city":"Rome"}'}},
        {"content": "see", "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a"}}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "4"},
            ]
        },
        {"content": "x", "a_member_of_tomorrow": {"deep": [1, 2]}},
    ],
)
def test_a_message_comes_back_from_a_stream_as_it_was(message):
    whole = completion(message)

    assert there_and_back(whole) == whole


def test_calls_keep_their_ids_and_what_servers_hang_on_them():
    calls = [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": "look", "arguments": '{"city":"Rome"}'},
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        }
        for n in range(2)
    ]
    whole = completion({"content": None, "tool_calls": calls}, choice={"finish_reason": "tool_calls"})

    assert there_and_back(whole) == whole


def test_probabilities_tiers_fingerprints_and_details_of_usage_come_back():
    scores = {
        "content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}],
        "refusal": None,
    }
    whole = completion(
        {"content": "a"},
        choice={"logprobs": scores, "content_filter_results": {"hate": {"filtered": False}}},
        service_tier="default",
        system_fingerprint="fp_1",
        prompt_filter_results=[{"prompt_index": 0}],
    )
    whole["usage"]["prompt_tokens_details"] = {"cached_tokens": 3, "audio_tokens": 1}

    assert there_and_back(whole) == whole


def test_several_choices_come_back_each_in_its_place():
    whole = completion({"content": "one"})
    whole["choices"].append(
        {**whole["choices"][0], "index": 1, "message": {"role": "assistant", "content": "two"}}
    )

    assert there_and_back(whole) == whole


@given(st.lists(st.text(max_size=5), min_size=1, max_size=8), st.text(max_size=8))
def test_whatever_was_said_in_pieces_is_said_whole(pieces, thought):
    whole = gathered(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": thought}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, "stop"),
    )

    assert whole["choices"][0]["message"]["content"] == "".join(pieces)
    assert whole["choices"][0]["message"]["reasoning_content"] == thought
    assert whole["usage"]["total_tokens"] == 2


def test_pieces_of_parallel_calls_go_to_their_calls():
    whole = gathered(
        chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            }
        ),
        chunk(
            {
                "tool_calls": [
                    {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
                ]
            }
        ),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        chunk({}, "tool_calls"),
    )

    assert whole["choices"][0]["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_another_id_is_another_call_however_it_is_numbered():
    whole = gathered(
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
    )

    assert [call["id"] for call in whole["choices"][0]["message"]["tool_calls"]] == ["a", "b"]


def test_usage_leaves_the_stream_of_who_did_not_ask_and_is_nowhere_else():
    stream = chunk({"content": "a"}) + chunk({}, "stop") + USAGE + DONE

    assert retell(stream, streamed=True, stream=True, bare=True) == stream.replace(USAGE, b"")


def test_a_whole_answer_is_told_without_usage_to_who_did_not_ask():
    bare = retell(orjson.dumps(completion({"content": "a"})), streamed=False, stream=True, bare=True)
    full = retell(orjson.dumps(completion({"content": "a"})), streamed=False, stream=True)

    assert b"usage" not in bare
    assert full.count(b'"usage":null') == 3
    assert full.count(b'"usage":{') == 1


def test_usage_is_found_where_groq_and_moonshot_put_it():
    end, counts = chunk({}, "stop"), {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    groq = chunk({}, x_groq={"id": "req_1", "usage": counts})
    moonshot = end.replace(
        b'"finish_reason":"stop"', b'"finish_reason":"stop","usage":%b' % orjson.dumps(counts)
    )
    first, second = (
        orjson.loads(retell(chunk({"content": "a"}) + last + DONE, streamed=True, stream=False))
        for last in (end + groq, moonshot)
    )

    assert first["usage"] == second["usage"] == counts
    assert first["x_groq"] == {"id": "req_1"}


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (chunk({"content": "a"}) + USAGE + DONE, "it has no end"),
        (chunk({"content": "a"}, "stop") + DONE, "it does not tell its usage"),
        (chunk({"content": "a"}) + b'data: {"error":{"message":"x"}}\n\n', "the stream ended with an error"),
        (
            chunk({"mood": "a"}) + chunk({"mood": "b"}, "stop") + USAGE,
            "its mood is told in pieces that are not known",
        ),
        (
            chunk({"audio": {"data": "QUJD"}}) + chunk({}, "stop") + USAGE,
            "speech is written in another way in a stream",
        ),
    ],
)
def test_what_would_be_poorer_is_not_told(stream, why):
    with pytest.raises(Untellable, match=why):
        retell(stream, streamed=True, stream=False)


@pytest.mark.shared
def test_every_recorded_answer_means_the_same_in_its_other_form_and_back(judge):
    found = both_ways(judge, "openai.chat", {"openai.chat"}, WHOLE, told)

    assert found.pop("equal") >= 780
    assert found == {
        "it does not tell its usage": 23,
        "it has no end": 3,
        "the stream ended with an error": 3,
        "speech is written in another way in a stream": 1,
    }
