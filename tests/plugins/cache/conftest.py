"""What the tests of the cache share: exchanges as the gateway would make them, their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from llmproxy.plugin import Caller, ClientFace, Endpoint, Exchange
from llmproxy.testing import make_exchange
from llmproxy_anthropic.faces import AnthropicClient
from llmproxy_cache.key import KeyMaker
from llmproxy_cache.normalise import Normalisation, Normaliser
from llmproxy_gemini.client import GeminiClient
from llmproxy_openai.faces import OpenAIClient

FACES: dict[str, ClientFace] = {
    "openai": OpenAIClient(),
    "anthropic": AnthropicClient(),
    "gemini": GeminiClient(),
}

Asked = Callable[..., Exchange]
Digest = Callable[..., bytes]


@pytest.fixture(scope="session")
def asked() -> Asked:
    """Make an exchange whose body has been read and whose model has been resolved."""

    def make(
        body: Any,
        path: str = "/v1/chat/completions",
        *,
        wire: str = "openai",
        headers: dict[str, str] | None = None,
        endpoints: tuple[Endpoint, ...] = (Endpoint("main", "upstream-model"),),
        model: str = "public-model",
        caller: Caller | None = None,
        method: str = "POST",
    ) -> Exchange:
        fields = {"Content-Type": "application/json", **(headers or {})}
        exchange = make_exchange(
            method, path, headers=fields, endpoints=endpoints, caller=caller or Caller("t", "k")
        )
        exchange.client_face = FACES[wire]
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        exchange.set_body(data)
        exchange.model = model
        return exchange

    return make


@pytest.fixture(scope="session")
def digest(asked: Asked) -> Digest:
    """Return the content digest of a request."""

    def make(body: Any, *args: Any, maker: KeyMaker | None = None, **known: Any) -> bytes:
        exchange = asked(body, *args, **known)
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return (maker or KeyMaker(Normaliser(Normalisation()))).keyed(exchange, data).digest

    return make
