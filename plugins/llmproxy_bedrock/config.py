"""The plugin's configuration."""

from __future__ import annotations

import msgspec


class BedrockConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set."""
