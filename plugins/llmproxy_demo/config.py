"""The plugin's configuration."""

from __future__ import annotations

import msgspec


class DemoConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to configure: what the model does is said in each request."""
