"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llmproxy.plugin import ClientRequest, Exchange, Headers
from llmproxy_openai.faces import OpenAIClient

RECORDINGS = Path(__file__).parents[4] / "shared" / "data" / "wire"

MakeExchange = Callable[..., Exchange]


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""

    def make(
        path: str = "/v1/chat/completions",
        body: bytes | dict[str, Any] = b"",
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
        meter_usage: bool = True,
    ) -> Exchange:
        fields = Headers.of(headers if headers is not None else {"Content-Type": "application/json"})
        route: Any = SimpleNamespace(meter_usage=meter_usage)
        exchange = Exchange(ClientRequest(method, path, fields), route, "test", 0.0)
        exchange.client_face = OpenAIClient()
        exchange.set_body(body if isinstance(body, bytes) else orjson.dumps(body))
        return exchange

    return make


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded exchange of OpenAI's dialects, of all providers."""
    if not RECORDINGS.is_dir():
        pytest.skip("the team's recordings are not beside the project")
    return [record for record in _records() if record["dialect"].startswith("openai.")]


def _records() -> Iterator[dict[str, Any]]:
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        with path.open("rb") as lines:
            yield from map(orjson.loads, lines)
