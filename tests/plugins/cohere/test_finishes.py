from __future__ import annotations

import pytest

from llmproxy.canonical import FINISH_REASONS
from llmproxy_cohere.finishes import read_finish, write_finish


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("TIMEOUT", "error"),
        ("ERROR_TOXIC", "content_filter"),
        ("NEW", "stop"),
    ],
)
def test_a_word_has_its_reason(word: str, reason: str) -> None:
    assert read_finish(word, called=False) == (reason, word)


def test_an_answer_with_calls_asks_for_tools() -> None:
    assert read_finish("COMPLETE", called=True)[0] == "tool_calls"
    assert write_finish("stop", None, called=True) == "TOOL_CALL"


def test_every_reason_has_a_word() -> None:
    for reason in FINISH_REASONS:
        assert write_finish(reason, None, called=False).isupper()  # type: ignore[arg-type]
    assert write_finish("stop", "END", called=False) == "STOP_SEQUENCE"
    assert write_finish(None, None, called=False) == "ERROR"
