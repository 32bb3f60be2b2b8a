from __future__ import annotations

from llmproxy_ollama.names import LOSS_NAMES


def test_callers_are_told_their_own_names():
    assert LOSS_NAMES["max_tokens"] == "options.num_predict"
    assert LOSS_NAMES["thinking"] == "think"
