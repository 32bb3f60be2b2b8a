from __future__ import annotations

from typing import Any

from llmproxy.plugin import LocalUpstream
from llmproxy_demo import DemoPlugin
from llmproxy_demo.config import DemoConfig


class Offers:
    def __init__(self) -> None:
        self.upstreams: dict[str, Any] = {}

    def dialect(self, name: str, *, upstream: Any) -> None:
        self.upstreams[name] = upstream


def test_an_upstream_that_answers_here_is_offered() -> None:
    registry: Any = Offers()

    DemoPlugin("demo", DemoConfig()).register(registry)

    assert isinstance(registry.upstreams["demo"], LocalUpstream)
