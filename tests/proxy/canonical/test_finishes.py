"""Words for why an answer ended."""

from __future__ import annotations

import pytest

from llmproxy.canonical.finishes import reason_of


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_calls"),
        ("TOOL_CALL", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("pause_turn", "pause"),
    ],
)
def test_a_word_of_any_dialect_is_known_however_it_is_spelled(word, reason):
    assert reason_of(word) == reason


def test_a_word_that_nobody_says_is_what_its_reader_takes_it_for():
    assert reason_of("tired") == "stop"
    assert reason_of("tired", "error") == "error"
