"""How near at hand an answer may be found."""

from __future__ import annotations

from typing import Any, cast

import pytest

from llmproxy.caches import CacheStatus, Found, Mark
from llmproxy.plugin import Entry, Form
from llmproxy_cache.config import CacheRoute
from llmproxy_cache.control import NOTHING
from llmproxy_cache.finding import Finding
from llmproxy_cache.kept import About, FormKept, pack_about
from llmproxy_cache.plan import Plan
from llmproxy_cache.policy import Policy


def entry(body: bytes, stored: int = 0, meta: bytes | None = None) -> Entry:
    about = About(60.0, (FormKept(*Form("openai"), len(body)),))
    return Entry(
        200, b"", body, mark=Mark(0, 0), stored=stored, meta=pack_about(about) if meta is None else meta
    )


class Space:
    """A space of two tiers that notes what it was asked."""

    waits = True

    def __init__(self, near: Entry | None, far: Entry | None, *, purged: bool = False) -> None:
        self.near, self.far, self.purged = near, far, purged
        self.asked: list[str] = []

    def peek(self, key: bytes) -> Found | None:
        self.asked.append("near")
        return None if self.near is None else Found(self.near)

    async def get_far(self, key: bytes) -> Found | None:
        self.asked.append("far")
        return None if self.far is None else Found(self.far)

    async def confirm(self, found: Found) -> Found | None:
        self.asked.append("confirm")
        return None if self.purged else found


def plan(consistency: str = "eventual") -> Plan:
    settings = CacheRoute(profile="semi-static", consistency=cast("Any", consistency))
    return Plan(Policy("r", settings, lambda _: None), NOTHING, CacheStatus())


@pytest.mark.parametrize(
    ("consistency", "asked", "body"),
    [("eventual", ["near"], b"near"), ("validate", ["far"], b"far"), ("strong", ["far", "confirm"], b"far")],
)
async def test_consistency_says_who_is_asked(consistency: str, asked: list[str], body: bytes) -> None:
    space = Space(entry(b"near"), entry(b"far"))
    kept = await Finding(cast("Any", space)).find(plan(consistency))

    assert kept is not None
    assert (space.asked, kept.entry.body) == (asked, body)


async def test_what_is_not_near_may_be_far() -> None:
    space = Space(None, entry(b"far"))

    assert await Finding(cast("Any", space)).find(plan()) is not None
    assert space.asked == ["near", "far"]


async def test_what_another_host_has_purged_is_not_found() -> None:
    space = Space(entry(b"near"), entry(b"far"), purged=True)

    assert await Finding(cast("Any", space)).find(plan("strong")) is None


async def test_what_cannot_be_read_is_not_found() -> None:
    assert await Finding(cast("Any", Space(entry(b"x", meta=b"?"), None))).find(plan()) is None


async def test_what_somebody_made_anew_is_found_and_what_is_older_is_not() -> None:
    here = await Finding(cast("Any", Space(entry(b"near", stored=5), None))).find(plan())
    assert here is not None

    assert await Finding(cast("Any", Space(None, entry(b"far", stored=6)))).newer(plan(), here) is not None
    assert await Finding(cast("Any", Space(None, entry(b"far", stored=5)))).newer(plan(), here) is None
