"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import check_listed_and_left
from tests.plugins.registries import FakeDns

from llmproxy.testing import PluginContract
from llmproxy_discovery_dns import DnsDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = DnsDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {"name": "backend.test.", "port": 80, "servers": ["127.0.0.1:9"]}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more() -> None:
    async with FakeDns() as registry:
        config = {
            "name": "_http._tcp.backend.test.",
            "records": "srv",
            "servers": [registry.address],
            "min_ttl": "100ms",
        }
        await check_listed_and_left("discovery_dns", config, registry)
