from __future__ import annotations

import pytest

from llmproxy_ollama.paths import after_api, call_of


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/api/chat", "chat"),
        ("/team/api/generate", "generate"),
        ("/api/chat/", "chat"),
        ("/api/api/tags", "tags"),
        ("/api/pull", ""),
        ("/chat", ""),
        ("", ""),
    ],
)
def test_a_path_is_a_call_wherever_it_is_mounted(path, call):
    assert call_of(path) == call


@pytest.mark.parametrize(
    ("path", "rest"), [("/api/chat", "/chat"), ("/a/api/blobs/x", "/blobs/x"), ("/other", "/other")]
)
def test_what_stands_before_the_api_stays_here(path, rest):
    assert after_api(path) == rest
