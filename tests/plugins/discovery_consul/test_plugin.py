"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import check_listed_and_left
from tests.plugins.registries import FakeConsul

from llmproxy.testing import PluginContract
from llmproxy_discovery_consul import ConsulDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = ConsulDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {
        "service": "backend",
        "address": "http://127.0.0.1:9",
        "token": "${env:TOKEN}",
    }
    environ: ClassVar[dict[str, str]] = {"TOKEN": "the-token-of-this-test"}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more() -> None:
    async with FakeConsul() as registry:
        config = {"service": "backend", "address": registry.url}
        await check_listed_and_left("discovery_consul", config, registry)
