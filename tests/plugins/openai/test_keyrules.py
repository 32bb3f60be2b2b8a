"""What decides the answer of OpenAI's calls."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import KeyRules, Reading
from llmproxy_openai.faces import OpenAIClient
from llmproxy_openai.keyrules import (
    CHAT,
    COMPLETIONS,
    COUNT,
    EMBEDDINGS,
    IMAGES,
    MODERATIONS,
    RESPONSES,
    rules_of,
)

HI = [{"role": "user", "content": "hi"}]


def read(rules: KeyRules, body: dict[str, Any]) -> Reading:
    return rules.read(body, str.strip)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt-4o/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/responses", "responses"),
        ("/v1/responses/input_tokens", "count"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/moderations", "moderations"),
        ("/v1/rerank", "judgements"),
    ],
)
def test_a_path_says_which_call_it_is(path: str, kind: str) -> None:
    rules = rules_of(path)

    assert rules is not None
    assert rules.kind == kind


@pytest.mark.parametrize(
    "path", ["/v1/files", "/v1/batches", "/v1/responses/resp_1/cancel", "/v1/threads/t/runs"]
)
def test_calls_that_ask_nothing_have_no_rules(path: str) -> None:
    assert rules_of(path) is None


def test_only_what_is_posted_has_rules(exchange_for: Any) -> None:
    face = OpenAIClient()

    assert face.key_rules(exchange_for(body={"model": "m", "messages": HI})) is CHAT
    assert face.key_rules(exchange_for("/v1/responses/resp_1", method="GET")) is None


def test_form_price_and_user_of_a_chat_do_not_count() -> None:
    body = {
        "model": "gpt-4o",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
    }
    reading = read(CHAT, body)

    assert reading.counted == {"messages": HI}
    assert reading.user == "s"


def test_defaults_that_are_written_out_say_nothing() -> None:
    body = {
        "messages": HI,
        "n": 1,
        "stop": None,
        "temperature": 1,
        "top_p": 1.0,
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "logit_bias": {},
        "store": False,
        "tools": [],
    }

    assert read(CHAT, body).counted == {"messages": HI}


def test_a_response_repeats_its_callers_marks_so_they_count() -> None:
    body = {"input": "hi", "metadata": {"order": "1"}, "user": "u", "prompt_cache_key": "k"}

    assert read(RESPONSES, dict(body)).counted == body


def test_a_responses_input_has_one_form() -> None:
    forms: list[Any] = [
        "hi",
        HI,
        [{"type": "message", "role": "user", "content": "hi"}],
        [{"role": "user", "content": [{"type": "input_text", "text": " hi"}]}],
    ]

    assert [read(RESPONSES, {"input": form}).counted for form in forms] == [{"input": "hi"}] * 4


@pytest.mark.parametrize(
    ("rules", "body", "ground"),
    [
        (CHAT, {"store": True}, "stored"),
        (CHAT, {"tools": [{"type": "web_search"}]}, "hosted-tools"),
        (CHAT, {"audio": {"voice": "alloy"}}, "references"),
        (CHAT, {"web_search_options": {}}, "hosted-tools"),
        (CHAT, {"search_parameters": {"mode": "on"}}, "hosted-tools"),
        (RESPONSES, {"previous_response_id": "resp_1"}, "references"),
        (RESPONSES, {"conversation": "conv_1"}, "state"),
        (RESPONSES, {"background": True}, "background"),
        (RESPONSES, {"tools": [{"type": "code_interpreter"}]}, "hosted-tools"),
        (RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}, "references"),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "references",
        ),
    ],
)
def test_grounds_are_told(rules: KeyRules, body: dict[str, Any], ground: str) -> None:
    assert read(rules, body).grounds == {ground}


def test_a_chats_links_are_references_and_its_bytes_are_not() -> None:
    def picture(url: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}

    assert read(CHAT, picture("https://example.com/cat.png")).grounds == {"references"}
    assert read(CHAT, picture("data:image/png;base64,AA==")).grounds == frozenset()


def test_own_tools_and_a_kept_response_are_no_grounds() -> None:
    assert (
        read(RESPONSES, {"store": True, "tools": [{"type": "function", "name": "f"}]}).grounds == frozenset()
    )


def test_one_text_to_embed_is_a_list_of_one() -> None:
    assert read(EMBEDDINGS, {"input": [" a "]}).counted == read(EMBEDDINGS, {"input": "a"}).counted


def test_a_raw_prompt_is_compared_to_the_character() -> None:
    assert read(COMPLETIONS, {"prompt": "a "}).counted == {"prompt": "a "}


@pytest.mark.parametrize(
    ("rules", "answer", "good"),
    [
        (CHAT, b'{"choices":[{"finish_reason":"stop"}]}', True),
        (CHAT, b'data: {"choices":[{"finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n', True),
        (CHAT, b'data: {"choices":[{"finish_reason": "tool_calls"}]}\n\n', False),
        (
            CHAT,
            b"""data: {"choices":[{"finish_reason":null}]}\n\ndata: {"finish_reason":"stop"}\n\ndata: [DONE]""",
            True,
        ),
        (CHAT, b'{"choices":[{"finish_reason":"stop"},{"finish_reason":null}]}', False),
        (
            CHAT,
            b'data: {"choices":[{"finish_reason":"stop"}]}\n\nevent: error\ndata: {}\n\ndata: [DONE]\n\n',
            False,
        ),
        (EMBEDDINGS, b'{"data":[{"embedding":[0.1]}]}', True),
        (EMBEDDINGS, b'{"data":[{"embedding":"AACA"}]}', True),
        (EMBEDDINGS, b'{"error":{"message":"x"}}', False),
        (EMBEDDINGS, b'{"detail":"overloaded"}', False),
        (MODERATIONS, b'{"results":[{"flagged":true}]}', True),
        (MODERATIONS, b'{"message":"overloaded"}', False),
        (COUNT, b'{"input_tokens":3}', True),
        (COUNT, b'{"message":"overloaded"}', False),
        (CHAT, b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}', False),
        (CHAT, b'{"choices":[{"finish_reason":"content_filter"}]}', False),
        (CHAT, b'{"choices":[{"finish_reason":null}]}', False),
        (CHAT, b'{"choices":[{"message":{"refusal":"No."},"finish_reason":"stop"}]}', False),
        (CHAT, b'{"choices":[{"message":{"refusal":null},"finish_reason":"stop"}]}', True),
        (
            CHAT,
            b'{"choices":[{"content":"{\\"error\\": {\\"finish_reason\\": \\"length\\"}}","finish_reason":"stop"}]}',
            True,
        ),
        (CHAT, b'{"error":{"message":"x"}}', False),
        (RESPONSES, b'{"status":"completed"}', True),
        (RESPONSES, b'{"status":"incomplete","output":[{"status":"completed"}]}', False),
        (RESPONSES, b'{"status":"completed","output":[{"content":[{"type":"refusal"}]}]}', False),
        (IMAGES, b'{"data":[{"b64_json":"AA=="}]}', True),
        (IMAGES, b'{"data":[{"url":"https://example.com/1.png"}]}', False),
    ],
)
def test_only_what_is_whole_and_without_a_flaw_is_kept(rules: KeyRules, answer: bytes, good: bool) -> None:
    assert rules.keeps(answer) == good


FILE = {"type": "input_file", "file_id": "file-1"}


@pytest.mark.parametrize(
    ("rules", "body"),
    [
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c", "output": [FILE]}]}),
        (RESPONSES, {"input": [{"type": "computer_call_output", "output": {"file_id": "file-1"}}]}),
        (RESPONSES, {"input": [{"type": "item_reference", "role": "user", "id": "msg_1"}]}),
        (RESPONSES, {"input": [{"type": "image_generation_call", "id": "ig_1"}]}),
        (RESPONSES, {"input": [{"role": "user", "content": FILE}]}),
        (RESPONSES, {"input": {"role": "user", "content": [FILE]}}),
        (CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"text": "", "image_url": {"url": "https://a"}}]}]},
        ),
    ],
)
def test_what_lies_elsewhere_is_found_wherever_it_is_named(rules: KeyRules, body: dict[str, Any]) -> None:
    assert read(rules, body).grounds == {"references"}


def test_a_tool_that_stands_in_the_lists_place_is_one() -> None:
    assert read(CHAT, {"messages": HI, "tools": {"type": "web_search"}}).grounds == {"hosted-tools"}


def test_what_a_tool_answered_counts_to_the_character() -> None:
    def counted(output: Any) -> Any:
        return read(RESPONSES, {"input": [{"type": "function_call_output", "output": output}]}).counted

    assert counted("a") != counted("a ")
