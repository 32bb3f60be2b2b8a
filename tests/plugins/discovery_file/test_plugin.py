"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.plugins.discovering import check_listed_and_left

from llmproxy.testing import PluginContract
from llmproxy_discovery_file import FileDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = FileDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {"path": "/nowhere/members.yaml"}


class ListInAFile:
    """A registry that is a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, ports: list[int]) -> None:
        self.path.write_text("".join(f"- 127.0.0.1:{port}\n" for port in ports))


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more(tmp_path: Path) -> None:
    registry = ListInAFile(tmp_path / "members.yaml")
    config = {"path": str(registry.path), "interval": "50ms"}
    await check_listed_and_left("discovery_file", config, registry)
