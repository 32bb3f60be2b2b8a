from __future__ import annotations

import pytest

from llmproxy_openai.calls import LOSS_NAMES, call_of, is_responses


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt/chat/completions", "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/responses", "responses"),
        ("/v1/responses/input_tokens", "responses"),
        ("/v1/responses/resp_1", "responses"),
        ("/v1/completions", ""),
        ("/v1/models", ""),
    ],
)
def test_a_path_is_one_call(path: str, call: str) -> None:
    assert call_of(path) == call
    assert is_responses(path) == (call == "responses")


def test_losses_are_named_by_paths() -> None:
    assert all(name and " " not in name for name in LOSS_NAMES.values())
