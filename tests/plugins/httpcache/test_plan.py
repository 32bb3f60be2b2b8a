from __future__ import annotations

from llmproxy.caches import Mark
from llmproxy.plugin import ANONYMOUS, Caller, Entry
from llmproxy_httpcache.config import HttpCacheRoute
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.plan import Plan, Stored
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.reusing import Validate
from llmproxy_httpcache.rules import Rules
from llmproxy_httpcache.terms import Terms


def _plan(**asked: bytes) -> Plan:
    request = Asked(method="GET", **asked)  # type: ignore[arg-type]
    rules, caller = Rules("r", HttpCacheRoute(profile="api")), Caller("t")
    return Plan(rules, request, Fields([]), caller=caller, origin="http://h:80", target="/a", key=b"k")


def test_a_plan_that_makes_an_answer_anew_wants_the_whole_for_nobody_in_particular() -> None:
    order, plan = _plan(), _plan(none_match=b'"a"', range=b"bytes=0-1")
    order.stored = Stored(b"k", Entry(200, b"", b"", mark=Mark(1, 2), stored=7), Terms(1, 0.0, 0.0))
    plan.renew(order)

    assert (plan.stored, plan.verdict, plan.renews) == (order.stored, Validate(0, 0, "stale"), 7)
    assert plan.asked.plain


def test_what_is_a_known_callers_is_not_for_everybody() -> None:
    assert _plan().closed
    plan = _plan()
    plan.caller = ANONYMOUS
    assert not plan.closed
