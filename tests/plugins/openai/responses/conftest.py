"""What the tests of responses share: exchanges of one caller, and a memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from llmproxy.plugin import Exchange
from llmproxy.testing import make_exchange
from llmproxy_openai.faces import OpenAIClient
from llmproxy_openai.responses.asked import Asked, keep_asked

AskedFor = Callable[..., Exchange]


@pytest.fixture
def asked_for() -> AskedFor:
    """Make an exchange whose caller asked for a response with these members."""

    def make(path: str = "/v1/responses", **told: Any) -> Exchange:
        body = orjson.dumps({"model": "m", "input": "hello", **told})
        exchange = make_exchange(path=path, body=body, headers={"Content-Type": "application/json"})
        exchange.client_face = OpenAIClient()
        exchange.take_body()
        keep_asked(exchange, Asked(orjson.loads(body)))
        return exchange

    return make


class Remembering:
    """A memory without bounds."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    async def get(self, kind: str, name: str) -> bytes | None:
        return self.kept.get((kind, name))

    async def put(self, kind: str, name: str, value: bytes) -> None:
        self.kept[kind, name] = value

    async def drop(self, kind: str, name: str) -> bool:
        return self.kept.pop((kind, name), None) is not None


@pytest.fixture
def memory() -> Remembering:
    return Remembering()
