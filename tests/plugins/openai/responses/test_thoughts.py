from __future__ import annotations

import pytest
from hypothesis import given

from llmproxy.canonical import Reasoning
from llmproxy_openai.responses.thoughts import encrypted_of, summary_of, thought_item, thought_of

from .drawn import hidden, shown


@given(shown | hidden)
def test_a_thought_travels_in_encrypted_content(thought: Reasoning) -> None:
    again = thought_of(thought.text, encrypted_of(thought), summary=True)

    assert again == thought


def test_anothers_redacted_thought_keeps_what_can_be_shown() -> None:
    thought = Reasoning(text="aloud", redacted="secret", origin="anthropic")

    again = thought_of("aloud", encrypted_of(thought), summary=False)

    assert again == thought


@pytest.mark.parametrize("summary", [True, False])
def test_an_empty_thought_is_none(summary: bool) -> None:
    assert thought_of("", "", summary=summary, name="rs_1") is None


def test_thought_that_nothing_proves_is_nobodys_() -> None:
    assert thought_of("hm", "", summary=True) == Reasoning(text="hm")


def test_an_item_holds_one_part_of_summary_or_none() -> None:
    assert summary_of("") == []
    assert thought_item("rs_1", "hm", "") == {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "status": "completed",
    }
    assert thought_item("rs_1", "", "x")["encrypted_content"] == "x"
