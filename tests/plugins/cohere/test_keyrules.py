"""What decides the answer of Cohere's calls."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import KeyRules, Reading
from llmproxy_cohere.keyrules import CHAT, CHAT_V1, CLASSIFY, EMBED, RERANK, TOKENS, rules_of

from .conftest import STREAM

HI = [{"role": "user", "content": "hi"}]


def read(body: dict[str, Any], rules: KeyRules = CHAT) -> Reading:
    return rules.read(body, str.strip)


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("/v2/chat", CHAT),
        ("/v1/chat", CHAT_V1),
        ("/v2/embed", EMBED),
        ("/v1/rerank", RERANK),
        ("/v1/detokenize", TOKENS),
        ("/v1/classify", CLASSIFY),
        ("/v1/datasets", None),
    ],
)
def test_a_path_says_which_call_it_is(path: str, rules: KeyRules | None) -> None:
    assert rules_of(path) is rules


def test_form_price_and_defaults_do_not_count() -> None:
    body = {
        "model": "m",
        "stream": True,
        "priority": 3,
        "k": 0,
        "p": 0.75,
        "safety_mode": "CONTEXTUAL",
        "tools": [],
        "messages": [{"role": "user", "content": [{"type": "text", "text": " hi "}]}],
    }

    assert read(body).counted == {"messages": HI}


def test_what_changes_an_answer_counts() -> None:
    body = {"messages": HI, "documents": ["d"], "safety_mode": "STRICT", "thinking": {"type": "enabled"}}

    assert read(body).counted == body


def test_a_ranking_follows_from_its_documents() -> None:
    body = {"query": " q ", "documents": ["b", "a"], "top_n": None, "model": "m"}

    assert read(body, RERANK).counted == {"query": "q", "documents": ["b", "a"]}
    assert RERANK.deterministic


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b'{"finish_reason":"COMPLETE","message":{}}', True),
        (b'{"finish_reason":"TOOL_CALL","message":{}}', True),
        (b'{"finish_reason":"MAX_TOKENS","message":{}}', False),
        (b'{"message":"too many tokens"}', False),
        (STREAM, True),
        (STREAM[:200], False),
    ],
)
def test_only_whole_answers_are_kept(answer: bytes, kept: bool) -> None:
    assert CHAT.keeps(answer) is kept
