"""What decides the answer of Anthropic's calls."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import KeyRules, Reading
from llmproxy_anthropic.keyrules import COUNT, MESSAGES, hosted, rules_of

HI = [{"role": "user", "content": "hi"}]


def read(body: dict[str, Any], rules: KeyRules = MESSAGES) -> Reading:
    return rules.read(body, str.strip)


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("/v1/messages", MESSAGES),
        ("/anthropic/v1/messages", MESSAGES),
        ("/v1/messages/count_tokens", COUNT),
        ("/v1/messages/batches", None),
        ("/v1/files", None),
    ],
)
def test_a_path_says_which_call_it_is(path: str, rules: KeyRules | None) -> None:
    assert rules_of(path) is rules


def test_content_has_one_form_with_or_without_marks() -> None:
    marked = [{"type": "text", "text": " hi ", "cache_control": {"type": "ephemeral"}}]
    body = {
        "system": marked,
        "messages": [{"role": "user", "content": [dict(marked[0])]}],
        "tools": [{"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}}],
        "cache_control": {"type": "ephemeral"},
    }

    assert read(body).counted == {
        "system": "hi",
        "messages": HI,
        "tools": [{"name": "f", "input_schema": {}}],
    }


def test_form_price_and_user_do_not_count() -> None:
    body = {
        "messages": HI,
        "stream": True,
        "service_tier": "auto",
        "metadata": {"user_id": "u"},
        "temperature": 1.0,
    }
    reading = read(body)

    assert reading.counted == {"messages": HI}
    assert reading.user == "u"


@pytest.mark.parametrize(
    "name", ["thinking", "top_k", "speed", "inference_geo", "output_config", "tomorrows"]
)
def test_what_may_change_the_answer_counts(name: str) -> None:
    assert name in read({"messages": HI, name: 1}).counted


def test_the_start_of_an_answer_is_compared_to_the_character() -> None:
    body = {"messages": [*HI, {"role": "assistant", "content": "So: "}]}

    assert read(body).counted["messages"][1]["content"] == "So: "


@pytest.mark.parametrize(
    ("body", "ground"),
    [
        ({"container": "container_1"}, "state"),
        ({"mcp_servers": [{"url": "https://example.com"}]}, "hosted-tools"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "hosted-tools"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}],
                    }
                ]
            },
            "references",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}],
                    }
                ]
            },
            "references",
        ),
    ],
)
def test_grounds_are_told(body: dict[str, Any], ground: str) -> None:
    assert read(body).grounds == {ground}


def test_arguments_of_tools_are_no_references() -> None:
    call = {"type": "tool_use", "id": "t", "name": "fetch", "input": {"url": "https://example.com"}}

    assert read({"messages": [{"role": "assistant", "content": [call]}]}).grounds == frozenset()


@pytest.mark.parametrize("kind", [None, "custom", "bash_20250124", "text_editor_20250728"])
def test_what_the_caller_runs_is_not_hosted(kind: str | None) -> None:
    assert not hosted({"type": kind, "name": "x"})


def test_what_nobody_knows_is_taken_for_hosted() -> None:
    assert hosted({"type": "tomorrow_20300101"})
    assert hosted("odd")


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (b'{"stop_reason":"end_turn"}', True),
        (b'{"stop_reason":"tool_use"}', True),
        (b'{"stop_reason":"max_tokens"}', False),
        (b'{"stop_reason":"refusal"}', False),
        (b'{"stop_reason":"pause_turn"}', False),
        (b'{"stop_reason":null}', False),
        (b'event: error\ndata: {"type":"error"}\n\n', False),
    ],
)
def test_only_what_is_whole_and_without_a_flaw_is_kept(answer: bytes, good: bool) -> None:
    assert MESSAGES.keeps(answer) == good


def test_a_picture_within_a_document_is_a_reference_too() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a"}}
    document = {"type": "document", "source": {"type": "content", "content": [picture]}}

    assert read({"messages": [{"role": "user", "content": [document]}]}).grounds == {"references"}
