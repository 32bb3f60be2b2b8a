from __future__ import annotations

import pytest

from llmproxy.canonical import FINISH_REASONS
from llmproxy_gemini.finishing import REASONS, read_reason, written_reason

TYPED = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "CONTINUATION",
    "MODEL_ARMOR",
]


@pytest.mark.parametrize("word", TYPED)
def test_every_reason_of_the_types_is_known_and_comes_back(word: str) -> None:
    reason = read_reason(word, calls=False)

    assert written_reason(reason, word) == word


def test_calls_decide() -> None:
    assert read_reason("STOP", calls=True) == "tool_calls"
    assert read_reason("MAX_TOKENS", calls=True) == "length"
    assert written_reason("tool_calls", "STOP") == "STOP"


def test_a_malformed_call_is_no_stop() -> None:
    assert read_reason("MALFORMED_FUNCTION_CALL", calls=False) == "malformed"


@pytest.mark.parametrize("told", ["SOMETHING_NEW", 3, None, [], {}])
def test_an_unknown_reason_is_an_error(told: object) -> None:
    assert read_reason(told, calls=False) == "error"


@pytest.mark.parametrize("reason", FINISH_REASONS)
def test_every_canonical_reason_has_a_word(reason: str) -> None:
    assert written_reason(reason, "end_turn") in REASONS  # type: ignore[arg-type]


def test_an_answer_that_did_not_end_has_none() -> None:
    assert written_reason(None, "") is None
