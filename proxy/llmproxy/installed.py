"""What installed packages offer by their entry points."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

#: The entry-point groups that third parties use.
PLUGIN_GROUP = "llmproxy.plugins"
#: Plugins that bring a client face and are there for callers without being listed; their names in PLUGIN_GROUP.
DIALECT_GROUP = "llmproxy.dialects"
COMMAND_GROUP = "llmproxy.commands"


def available(group: str = PLUGIN_GROUP) -> Mapping[str, importlib.metadata.EntryPoint]:
    """Return the entry points of all installed packages in a group, by name.

    They are read anew, which takes some 20 ms, where a folder that Python imports from has changed since.
    """
    return _read(group, tuple((folder, _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _read(group: str, folders: tuple[tuple[str, int], ...]) -> Mapping[str, importlib.metadata.EntryPoint]:
    return MappingProxyType({point.name: point for point in importlib.metadata.entry_points(group=group)})
