"""What the tests of responses share: exchanges of one caller, a memory, the judge of recorded traffic."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.plugin import Exchange
from llmproxy.testing import make_exchange
from llmproxy_openai.faces import OpenAIClient
from llmproxy_openai.responses.asked import Asked, keep_asked

TOOLS = Path(__file__).parents[5] / "shared" / "tools"

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


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The team's own reading of the dialects, which shares no code with the gateway."""
    if not (TOOLS / "wiresem.py").is_file():
        pytest.skip("the team's judge is not beside the project")
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("wiresem")
