"""The kit for plugin authors: servers that misbehave as told, clients exact to the byte, checks.

Names are imported when first used, so that loading the pytest plugin costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmproxy.testing.contract import PluginContract
    from llmproxy.testing.exchanges import (
        Served,
        Serving,
        make_exchange,
        make_process,
        run_route,
        running_route,
    )
    from llmproxy.testing.faults import FaultProxy
    from llmproxy.testing.gateways import RunningGateway, running_gateway
    from llmproxy.testing.judge import Judge
    from llmproxy.testing.rawclient import RawClient, RawReply
    from llmproxy.testing.streams import assert_bytes_invariant, assert_split_invariant
    from llmproxy.testing.upstream import FakeUpstream

__all__ = [
    "FakeUpstream",
    "FaultProxy",
    "Judge",
    "PluginContract",
    "RawClient",
    "RawReply",
    "RunningGateway",
    "Served",
    "Serving",
    "assert_bytes_invariant",
    "assert_split_invariant",
    "make_exchange",
    "make_process",
    "run_route",
    "running_gateway",
    "running_route",
]

_WHERE: Final = {
    "FakeUpstream": "upstream",
    "FaultProxy": "faults",
    "Judge": "judge",
    "PluginContract": "contract",
    "RawClient": "rawclient",
    "RawReply": "rawclient",
    "RunningGateway": "gateways",
    "Served": "exchanges",
    "Serving": "exchanges",
    "assert_bytes_invariant": "streams",
    "assert_split_invariant": "streams",
    "make_exchange": "exchanges",
    "make_process": "exchanges",
    "run_route": "exchanges",
    "running_gateway": "gateways",
    "running_route": "exchanges",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'llmproxy.testing' has no attribute '{name}'")
    return getattr(import_module(f"llmproxy.testing.{_WHERE[name]}"), name)
