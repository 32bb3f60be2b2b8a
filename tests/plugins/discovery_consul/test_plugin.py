"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import asked_of, serving_members
from tests.plugins.registries import FakeConsul

from llmproxy.testing import FakeUpstream, PluginContract
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
    async with (
        FakeConsul() as registry,
        FakeUpstream().reply(body=b"first") as first,
        FakeUpstream().reply(body=b"second") as second,
    ):
        registry.put([first.port])
        async with serving_members(
            "discovery_consul", {"service": "backend", "address": registry.url}
        ) as gateway:
            before = await asked_of(gateway)
            registry.put([second.port])
            await gateway.logged("members_changed", 2)

            assert before == b"first"
            assert await asked_of(gateway) == b"second"
