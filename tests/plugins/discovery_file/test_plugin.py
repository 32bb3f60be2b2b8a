"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.plugins.discovering import asked_of, serving_members

from llmproxy.testing import FakeUpstream, PluginContract
from llmproxy_discovery_file import FileDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = FileDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {"path": "/nowhere/members.yaml"}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more(tmp_path: Path) -> None:
    path = tmp_path / "members.yaml"
    async with FakeUpstream().reply(body=b"first") as first, FakeUpstream().reply(body=b"second") as second:
        path.write_text(f"- 127.0.0.1:{first.port}")
        async with serving_members("discovery_file", {"path": str(path), "interval": "50ms"}) as gateway:
            before = await asked_of(gateway)
            path.write_text(f"- 127.0.0.1:{second.port}")
            await gateway.logged("members_changed", 2)

            assert before == b"first"
            assert await asked_of(gateway) == b"second"
