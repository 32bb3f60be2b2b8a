"""What the tests of the SDKs share: a gateway before the strict provider, an upstream for each of its dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from llmproxy.testing import RunningGateway, running_gateway

from .strict_provider import StrictProvider

#: The dialects of upstreams, and what each base URL ends in.
PREFIXES = {
    "openai": "/v1",
    "openai-responses": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "bedrock": "",
}

KEY = "key-of-the-caller"

LOOK = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

#: One red pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="


@dataclass
class Site:
    """The provider, the gateway before it, and where SDKs find it."""

    provider: StrictProvider
    gateway: RunningGateway

    @property
    def url(self) -> str:
        """The gateway's address without a slash."""
        return self.gateway.url

    @property
    def asked(self) -> Any:
        """The last request, as the provider understood it."""
        return self.provider.asked[-1]


def config(url: str, **route: Any) -> dict[str, Any]:
    """Return a gateway with an upstream of each dialect, all of them the same provider."""
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": {name: {"base_url": url + prefix, "dialect": name} for name, prefix in PREFIXES.items()},
        "plugins": {"access": {"mode": "open"}, "metrics": {}},
        "pipeline": ["metrics", "access"],
        "routes": [{"name": "models", **route}],
    }


@asynccontextmanager
async def site(**route: Any) -> AsyncIterator[Site]:
    """Serve the strict provider behind a gateway; `route` holds more keys of its one route."""
    async with StrictProvider() as provider, running_gateway(config(provider.url, **route)) as gateway:
        yield Site(provider, gateway)
