"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.plugins.conftest import read_exchange, records

from llmproxy.plugin import Exchange
from llmproxy_openai.faces import OpenAIClient

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
        exchange = read_exchange(OpenAIClient(), path, body, headers, method=method)
        exchange.route.meter_usage = meter_usage
        return exchange

    return make


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded exchange of OpenAI's dialects, of all providers."""
    return [record for record in records() if record["dialect"].startswith("openai.")]
