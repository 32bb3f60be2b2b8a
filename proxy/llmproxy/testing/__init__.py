"""The kit for plugin authors: servers that misbehave as told, clients exact to the byte, checks.

Names are imported when first used, so that loading the pytest plugin costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmproxy.testing.faults import FaultProxy as FaultProxy
    from llmproxy.testing.judge import Judge as Judge
    from llmproxy.testing.rawclient import RawClient as RawClient
    from llmproxy.testing.rawclient import RawReply as RawReply
    from llmproxy.testing.streams import assert_bytes_invariant as assert_bytes_invariant
    from llmproxy.testing.streams import assert_split_invariant as assert_split_invariant
    from llmproxy.testing.upstream import FakeUpstream as FakeUpstream

_WHERE = {
    "FakeUpstream": "upstream",
    "FaultProxy": "faults",
    "Judge": "judge",
    "RawClient": "rawclient",
    "RawReply": "rawclient",
    "assert_bytes_invariant": "streams",
    "assert_split_invariant": "streams",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'llmproxy.testing' has no attribute '{name}'")
    return getattr(import_module(f"llmproxy.testing.{_WHERE[name]}"), name)
