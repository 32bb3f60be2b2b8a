from __future__ import annotations

import pytest

from llmproxy.plugin import Endpoint
from llmproxy_ollama.passing import encode


@pytest.mark.parametrize(
    ("path", "prefix", "target"),
    [
        ("/api/chat", "/api", "/api/chat"),
        ("/team/api/chat", "/api", "/api/chat"),
        ("/api/chat", "", "/chat"),
        ("/api/chat?a=1", "/api", "/api/chat?a=1"),
    ],
)
def test_the_target_is_behind_the_base_url(exchange_for, path, prefix, target):
    assert encode(exchange_for(path), Endpoint("up"), b"{}", prefix=prefix).target == target


def test_only_the_models_name_is_changed(exchange_for):
    body = b'{ "model" : "m", "messages": [ ] }'
    exchange = exchange_for(body=body)

    assert encode(exchange, Endpoint("up", "llama3"), body, prefix="/api").body == body.replace(
        b'"m"', b'"llama3"'
    )
    assert encode(exchange, Endpoint("up", "m"), body, prefix="/api").body is body


def test_a_model_that_is_shown_by_its_name_is_renamed_too(exchange_for):
    body = b'{"name":"m"}'
    exchange = exchange_for("/api/show", body)

    assert encode(exchange, Endpoint("up", "llama3"), body, prefix="/api").body == b'{"name":"llama3"}'
