"""What a request asks last, in the dialects that there are."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest

from llmproxy.keyrules import KeyRules
from llmproxy.questions import take_question
from llmproxy_anthropic.keyrules import rules_of as anthropic_rules
from llmproxy_gemini.keyrules import rules_of as gemini_rules
from llmproxy_openai.keyrules import rules_of as openai_rules

HI: dict[str, Any] = {"role": "user", "content": "hi"}


def rules(path: str) -> KeyRules:
    of = gemini_rules if ":" in path else anthropic_rules if path.endswith("messages") else openai_rules
    found = of(path)
    assert found is not None
    return found


CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
GEMINI = "/v1beta/models/g:generateContent"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [HI]}),
        (CHAT, {"messages": [{"role": "system", "content": "be"}, HI]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
        (MESSAGES, {"system": "be", "messages": [HI], "max_tokens": 5}),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
        (RESPONSES, {"input": "hi"}),
        (RESPONSES, {"input": [HI]}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}),
        (RESPONSES, {"input": [{"type": "message", "role": "user", "content": "hi"}]}),
        (GEMINI, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        (GEMINI, {"contents": [{"parts": [{"text": "hi"}]}]}),
    ],
)
def test_the_last_turn_of_the_user_is_the_question_and_nothing_of_it_stays(
    path: str, body: dict[str, Any]
) -> None:
    counted = rules(path).read(deepcopy(body), str.strip).counted

    assert take_question(rules(path), counted) == "hi"
    assert b'"hi"' not in orjson.dumps(counted)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": []}),
        (CHAT, {}),
        (CHAT, {"messages": [HI, {"role": "assistant", "content": "hello"}]}),
        (CHAT, {"messages": [HI, {"role": "tool", "tool_call_id": "c", "content": "5"}]}),
        (CHAT, {"messages": [{"role": "user", "content": None}]}),
        (
            CHAT,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "hi"},
                            {"type": "image_url", "image_url": {"url": "data:,"}},
                        ],
                    }
                ]
            },
        ),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c", "output": "5"}]}),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "5"}]}]}),
        (GEMINI, {"contents": [{"parts": [{"text": "hi"}, {"inlineData": {"data": ""}}]}]}),
        (GEMINI, {"contents": [{"role": "model", "parts": [{"text": "hi"}]}]}),
        ("/v1/embeddings", {"input": "hi"}),
    ],
)
def test_what_is_not_the_users_or_not_text_alone_is_no_question(path: str, body: dict[str, Any]) -> None:
    counted = rules(path).read(deepcopy(body), str.strip).counted
    before = orjson.dumps(counted)

    assert take_question(rules(path), counted) is None
    assert orjson.dumps(counted) == before


def test_two_requests_with_one_rest_differ_in_nothing_but_the_question() -> None:
    rest = []
    for text in ("hi", "what is 2 + 2?"):
        body = {"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": text}], "n": 2}
        counted = rules(CHAT).read(body, str.strip).counted
        take_question(rules(CHAT), counted)
        rest.append(counted)

    assert rest[0] == rest[1]
    assert rest[0]["messages"][0] == {"role": "system", "content": "be"}
