"""The public API of plugins that cache: what they may import beside `llmproxy.plugin`."""

from __future__ import annotations

from llmproxy.caching.deriving import Forms
from llmproxy.caching.entry import Mark
from llmproxy.caching.fate import FATE, Fate
from llmproxy.caching.flights import Flights, Landed
from llmproxy.caching.insight import Insight, Standing
from llmproxy.caching.inspecting import Inspected, inspect_key
from llmproxy.caching.meters import CacheHits, CacheMeters
from llmproxy.caching.parts import Part, differences, field_name, nearest, part_of
from llmproxy.caching.profiles import CachingSettings, Scope, Terms, terms_of
from llmproxy.caching.purges import Purge, PurgeOrder, read_order
from llmproxy.caching.recents import Near, Recents
from llmproxy.caching.replaying import Pace, replay
from llmproxy.caching.setup import CacheSetup
from llmproxy.caching.space import Found
from llmproxy.caching.spaces import PurgeOutcome
from llmproxy.caching.status import CacheStatus
from llmproxy.caching.tags import entry_slots, field_tags, key_name, tag_slots
from llmproxy.caching.urls import locate
from llmproxy.lately import Lately

__all__ = [
    "FATE",
    "CacheHits",
    "CacheMeters",
    "CacheSetup",
    "CacheStatus",
    "CachingSettings",
    "Fate",
    "Flights",
    "Forms",
    "Found",
    "Insight",
    "Inspected",
    "Landed",
    "Lately",
    "Mark",
    "Near",
    "Pace",
    "Part",
    "Purge",
    "PurgeOrder",
    "PurgeOutcome",
    "Recents",
    "Scope",
    "Standing",
    "Terms",
    "differences",
    "entry_slots",
    "field_name",
    "field_tags",
    "inspect_key",
    "key_name",
    "locate",
    "nearest",
    "part_of",
    "read_order",
    "replay",
    "tag_slots",
    "terms_of",
]
