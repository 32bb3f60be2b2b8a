from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Reasoning
from llmproxy_openai.chat.reasoning import is_proven, read_details, read_reasoning, write_details

TEXT = st.text(max_size=8)
ORIGINS = st.sampled_from(["", "anthropic", "openai", "gemini", "xai", "mistral"])
SOME = st.text(min_size=1, max_size=8)
#: Signed text, sealed thought, or both under one id.
THOUGHTS = (
    st.builds(Reasoning, SOME, TEXT, origin=ORIGINS, id=TEXT)
    | st.builds(Reasoning, redacted=SOME, origin=ORIGINS, id=TEXT)
    | st.builds(Reasoning, SOME, TEXT, SOME, ORIGINS, id=SOME)
)


@given(st.lists(THOUGHTS, max_size=4, unique_by=lambda block: block.id or object()))
def test_details_come_back_as_they_went(blocks: list[Reasoning]) -> None:
    read = read_details(write_details(blocks))

    assert [(b.text, b.signature, b.redacted, b.id) for b in read] == [
        (b.text, b.signature, b.redacted, b.id) for b in blocks
    ]


@given(THOUGHTS.filter(lambda block: block.signature or block.redacted))
def test_whose_signature_it_is_comes_back_too(block: Reasoning) -> None:
    assert read_details(write_details([block]))[0].origin == block.origin


def test_a_summary_with_what_only_the_provider_can_read_is_one_thought() -> None:
    block = Reasoning("briefly", "", "gAAAA", "openai", summary=True, id="rs_1")
    items = write_details([block])

    assert [item["type"] for item in items] == ["reasoning.summary", "reasoning.encrypted"]
    assert read_details(items) == [block]


def test_a_summary_keeps_what_proves_it() -> None:
    block = Reasoning("briefly", "gAAAA", "", "openai", summary=True, id="rs_1")
    items = write_details([block])

    assert [(item["type"], item["signature"]) for item in items] == [("reasoning.summary", "gAAAA")]
    assert read_details(items) == [block]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_plain_thoughts_are_text(field: str) -> None:
    assert read_reasoning({field: "so"}) == [Reasoning("so")]


def test_details_stand_for_the_text_beside_them() -> None:
    details = [{"type": "reasoning.text", "text": "so", "signature": "EqQB", "format": "anthropic-claude-v1"}]
    message = {"reasoning": "so", "reasoning_details": details}

    assert read_reasoning(message) == [Reasoning("so", "EqQB", origin="anthropic")]


def test_text_without_its_own_detail_is_kept() -> None:
    details = [{"type": "reasoning.encrypted", "data": "gAAAA", "format": "openai-responses-v1"}]
    message = {"reasoning_content": "so", "reasoning_details": details}

    assert read_reasoning(message) == [Reasoning("so"), Reasoning(redacted="gAAAA", origin="openai")]


@pytest.mark.parametrize("details", [None, 7, ["x"], [{}], [{"type": "reasoning.text", "text": 5}]])
def test_what_is_no_thought_is_passed_over(details: Any) -> None:
    assert read_reasoning({"reasoning": None, "reasoning_details": details}) == []


def test_a_thought_is_proven_by_more_than_its_text() -> None:
    assert not is_proven(Reasoning("so", origin="gemini"))
    assert is_proven(Reasoning("so", "sig"))
