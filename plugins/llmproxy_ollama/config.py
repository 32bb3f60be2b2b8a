"""The plugin's configuration."""

from __future__ import annotations

import msgspec


class OllamaConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to configure: addresses and keys belong to upstreams."""
