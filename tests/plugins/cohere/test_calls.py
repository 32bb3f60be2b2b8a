from __future__ import annotations

import pytest

from llmproxy.testing import make_exchange
from llmproxy_cohere.calls import call_of, upstream_target


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/v2/chat", "chat"),
        ("/team/v2/embed", "embed"),
        ("/v2/rerank", "rerank"),
        ("/v1/chat", "chat_v1"),
        ("/v1/embed", "embed_v1"),
        ("/v1/rerank", "rerank_v1"),
        ("/v1/chat/completions", ""),
        ("/v1/tokenize", ""),
    ],
)
def test_a_path_says_which_call_it_is(path: str, call: str) -> None:
    assert call_of(path) == call


@pytest.mark.parametrize(
    ("path", "version", "target"),
    [
        ("/v2/chat", "", "/v2/chat"),
        ("/team/v2/chat?x=1", "", "/v2/chat?x=1"),
        ("/v1/datasets/v2/x", "", "/v1/datasets/v2/x"),
        ("/v2/chat", "/v2", "/chat"),
        ("/v1/tokenize", "/v2", "/v1/tokenize"),
        ("/other", "", "/other"),
    ],
)
def test_the_api_s_version_is_said_once(path: str, version: str, target: str) -> None:
    assert upstream_target(make_exchange("POST", path).request, version) == target
