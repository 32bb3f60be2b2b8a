"""A request's way through the cache."""

from __future__ import annotations

from llmproxy.caches import CacheStatus
from llmproxy_cache.config import CacheRoute
from llmproxy_cache.control import Control
from llmproxy_cache.plan import Plan
from llmproxy_cache.policy import Policy


def test_a_plan_made_anew_asks_for_the_same() -> None:
    policy = Policy("r", CacheRoute(profile="faq"), lambda _: None)
    plan = Plan(policy, Control(ttl=5), CacheStatus(ttl=1))
    plan.key, plan.body, plan.lifetime, plan.tags, plan.model = b"key", b"{}", 5.0, ("a",), "m"
    plan.written = plan.refreshes = True
    again = plan.again()

    assert (again.key, again.body, again.lifetime, again.tags, again.model) == (
        b"key",
        b"{}",
        5.0,
        ("a",),
        "m",
    )
    assert (again.written, again.refreshes, again.status.forwarded) == (False, False, "stale")


def test_what_the_status_says_is_changed_in_parts() -> None:
    plan = Plan(Policy("r", CacheRoute(), lambda _: None), Control(), CacheStatus("miss"))
    plan.tell(forward_status=200)

    assert plan.status == CacheStatus("miss", forward_status=200)
