"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import check_listed_and_left
from tests.plugins.registries import FakeKubernetes

from llmproxy.testing import PluginContract
from llmproxy_discovery_kubernetes import KubernetesDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = KubernetesDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {"service": "backend", "api": "http://127.0.0.1:9", "token_file": None}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more() -> None:
    async with FakeKubernetes() as registry:
        config = {
            "service": "backend",
            "namespace": "shop",
            "api": registry.url,
            "token_file": None,
        }
        await check_listed_and_left("discovery_kubernetes", config, registry)
