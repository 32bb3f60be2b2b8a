"""What the configuration may say."""

from __future__ import annotations

import msgspec

from llmproxy.plugin import Duration


class AtlasConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    store: str
    ttl: Duration = 60.0


class AtlasRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shout: bool = False
