"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import asked_of, serving_members
from tests.plugins.registries import FakeDns

from llmproxy.testing import FakeUpstream, PluginContract
from llmproxy_discovery_dns import DnsDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = DnsDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {"name": "backend.test.", "port": 80, "servers": ["127.0.0.1:9"]}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more() -> None:
    async with (
        FakeDns() as registry,
        FakeUpstream().reply(body=b"first") as first,
        FakeUpstream().reply(body=b"second") as second,
    ):
        registry.put([first.port])
        async with serving_members(
            "discovery_dns",
            {
                "name": "_http._tcp.backend.test.",
                "records": "srv",
                "servers": [registry.address],
                "min_ttl": "100ms",
            },
        ) as gateway:
            before = await asked_of(gateway)
            registry.put([second.port])
            await gateway.logged("members_changed", 2)

            assert before == b"first"
            assert await asked_of(gateway) == b"second"
