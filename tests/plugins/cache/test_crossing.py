"""One key for all dialects."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.cache.conftest import Asked, Digest

from llmproxy.plugin import Exchange
from llmproxy_cache.crossing import crossed
from llmproxy_cache.key import KeyMaker
from llmproxy_cache.normalise import Normalisation, Normaliser

SCHEMA = {"type": "object", "properties": {"cache": {"type": "string"}}}

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    "temperature": 0,
    "max_tokens": 9,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "system": [{"type": "text", "text": "Be brief. ", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": " hi"}],
    "temperature": 0.0,
    "max_tokens": 9,
    "tools": [{"name": "f", "input_schema": SCHEMA}],
    "stream": True,
}
CONTENTS: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "generationConfig": {"temperature": 0, "maxOutputTokens": 9, "candidateCount": 1},
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}],
}

ACROSS = KeyMaker(Normaliser(Normalisation()), across=True)


@pytest.fixture
def in_three(digest: Digest) -> Any:
    """Return the digests of one request in each dialect, changed in each."""

    def made(maker: KeyMaker, chat: Any = None, messages: Any = None, contents: Any = None) -> list[bytes]:
        return [
            digest({**CHAT, **(chat or {})}, maker=maker),
            digest({**MESSAGES, **(messages or {})}, "/v1/messages", wire="anthropic", maker=maker),
            digest(
                {**CONTENTS, **(contents or {})},
                "/v1beta/models/m:generateContent",
                wire="gemini",
                maker=maker,
            ),
        ]

    return made


def test_dialects_share_a_key_where_the_route_says_so(in_three: Any) -> None:
    assert len(set(in_three(ACROSS))) == 1
    assert len(set(in_three(KeyMaker(Normaliser(Normalisation()))))) == 3


def test_the_version_of_a_dialect_is_no_part_of_what_is_meant_but_features_are(
    in_three: Any, digest: Digest
) -> None:
    """Anthropic's SDK names its version with every call."""

    def telling(**headers: str) -> bytes:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return digest(MESSAGES, "/v1/messages", headers=fields, wire="anthropic", maker=ACROSS)

    assert telling(anthropic_version="2026-10-21") == in_three(ACROSS)[0]
    assert telling(anthropic_version="2026-10-21", anthropic_beta="x") != in_three(ACROSS)[0]


def test_another_meaning_is_another_key_in_each(in_three: Any) -> None:
    changed = in_three(
        ACROSS,
        {"max_tokens": 10},
        {"max_tokens": 10},
        {"generationConfig": {"temperature": 0, "maxOutputTokens": 10}},
    )

    assert len(set(changed)) == 1
    assert set(changed).isdisjoint(in_three(ACROSS))


def test_a_property_that_is_called_like_a_mark_counts(digest: Digest) -> None:
    other = {**SCHEMA, "properties": {"cache": {"type": "number"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": other}}]

    assert digest({**CHAT, "tools": tools}, maker=ACROSS) != digest(CHAT, maker=ACROSS)


def test_what_only_one_dialect_can_say_keeps_its_own_key(asked: Asked, digest: Digest) -> None:
    body = {**CHAT, "tomorrows_field": 1}

    assert crossed(asked(body), b"{", str.strip) is None
    assert digest(body, maker=ACROSS) != digest({**CHAT, "tomorrows_field": 2}, maker=ACROSS)
    assert digest(body, maker=ACROSS) == digest({**body, "stream": True}, maker=ACROSS)


def test_calls_that_are_no_questions_have_no_common_form(asked: Asked) -> None:
    exchange: Exchange = asked({"input": "x"}, "/v1/moderations")

    assert crossed(exchange, b'{"input":"x"}', str.strip) is None


def test_texts_to_embed_share_a_key(digest: Digest) -> None:
    one = digest({"input": " a"}, "/v1/embeddings", maker=ACROSS)

    assert one == digest({"input": ["a"], "encoding_format": "float"}, "/v1/embeddings", maker=ACROSS)
    assert one != digest({"input": "b"}, "/v1/embeddings", maker=ACROSS)
