from __future__ import annotations

from llmproxy.plugin import Caller
from llmproxy_httpcache.config import HttpCacheRoute
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.plan import Plan
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.reusing import Validate
from llmproxy_httpcache.rules import Rules


def test_a_plan_made_again_wants_the_whole_for_nobody_in_particular() -> None:
    asked = Asked(method="GET", none_match=b'"a"', range=b"bytes=0-1")
    plan = Plan(
        Rules("r", HttpCacheRoute()),
        asked,
        Fields([]),
        caller=Caller("t"),
        origin="http://h:80",
        target="/a",
        key=b"k",
    )
    plan.tell(stored=True)
    again = plan.again(Validate(1, 2, "stale"))

    assert (again.key, again.target, again.verdict) == (b"k", "/a", Validate(1, 2, "stale"))
    assert not again.asked.conditional
    assert again.asked.range is None
    assert (plan.status.stored, again.status.stored) == (True, False)
