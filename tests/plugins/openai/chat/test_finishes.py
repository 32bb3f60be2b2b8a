from __future__ import annotations

import pytest

from llmproxy.canonical import FINISH_REASONS, FinishReason
from llmproxy_openai.chat.finishes import native_finish, read_finish, write_finish

WORDS = {"stop", "length", "tool_calls", "content_filter"}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "context"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("something new", "stop"),
    ],
)
def test_a_providers_word_is_read(word: str, reason: str) -> None:
    assert read_finish(word, calls=False) == (reason, word)


@pytest.mark.parametrize("word", ["stop", None, 7])
def test_calls_decide_where_the_word_says_less(word: object) -> None:
    assert read_finish(word, calls=True)[0] == "tool_calls"


def test_an_answer_cut_within_a_call_is_cut() -> None:
    assert read_finish("length", calls=True)[0] == "length"


@pytest.mark.parametrize("reason", FINISH_REASONS)
def test_every_reason_has_one_of_openais_words(reason: FinishReason) -> None:
    assert write_finish(reason, calls=False, legacy=False) in WORDS


@pytest.mark.parametrize("reason", ["malformed", "error", "refusal"])
def test_what_went_wrong_is_never_told_as_a_whole_answer(reason: FinishReason) -> None:
    assert write_finish(reason, calls=False, legacy=False) == "content_filter"
    assert native_finish(reason, "MALFORMED_FUNCTION_CALL") == "MALFORMED_FUNCTION_CALL"
    assert native_finish(reason, "") == reason


def test_plain_reasons_hide_nothing() -> None:
    assert native_finish("stop", "end_turn") == native_finish(None, "") == ""


def test_callers_of_functions_get_their_own_word() -> None:
    assert write_finish("stop", calls=True, legacy=True) == "function_call"
    assert write_finish("pause", calls=True, legacy=False) == "stop"
