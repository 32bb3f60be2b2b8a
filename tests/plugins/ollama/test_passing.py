from __future__ import annotations

import pytest

from llmproxy.plugin import BadRequest, Endpoint
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


@pytest.mark.parametrize(
    "path",
    [
        "/api/delete",
        "/api/pull",
        "/api/create",
        "/api/copy",
        "/api/push",
        "/api/blobs/sha256:ab",
        "/api/chat/%2e%2e/delete",
        "/",
    ],
)
def test_calls_that_manage_a_server_stay_here(exchange_for, path):
    with pytest.raises(BadRequest, match="Only calls of Ollama's that ask a model"):
        encode(exchange_for(path), Endpoint("up"), b"{}", prefix="/api")


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
