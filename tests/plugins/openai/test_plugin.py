from __future__ import annotations

from typing import Any

from llmproxy_openai import OpenAIPlugin
from llmproxy_openai.config import OpenAIConfig


class Offers:
    def __init__(self) -> None:
        self.dialects: dict[str, tuple[Any, Any]] = {}

    def dialect(self, name: str, *, client: Any = None, upstream: Any = None) -> None:
        self.dialects[name] = (client, upstream)


def test_both_faces_of_the_dialect_are_offered() -> None:
    registry: Any = Offers()

    OpenAIPlugin("openai", OpenAIConfig()).register(registry)

    client, upstream = registry.dialects["openai"]
    assert client.wire == upstream.wire == "openai"
