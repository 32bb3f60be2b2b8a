"""The plugin's configuration."""

from __future__ import annotations

import msgspec


class CohereConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set."""
