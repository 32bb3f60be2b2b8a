from __future__ import annotations

import pytest

from llmproxy.canonical import FINISH_REASONS
from llmproxy_ollama.finishing import read_reason, written_reason


@pytest.mark.parametrize(
    ("told", "calls", "reason"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("length", True, "length"),
        ("load", False, "stop"),
        (None, False, "stop"),
        (None, True, "tool_calls"),
        ("new", False, "stop"),
        ("error", False, "error"),
    ],
)
def test_calls_decide(told, calls, reason):
    assert read_reason(told, calls=calls) == reason


def test_no_reason_but_a_good_one_is_told_as_stop():
    told = {reason: written_reason(reason) for reason in FINISH_REASONS}

    assert {reason for reason, word in told.items() if word == "stop"} == {"stop", "tool_calls", "pause"}
    assert (told["context"], told["refusal"], told["malformed"]) == ("length", "content_filter", "error")
    assert written_reason(None) == "error"
