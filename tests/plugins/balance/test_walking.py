"""The walk: the first place that answers, what is counted for it, and what is said where there is none."""

import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.errors import BadRequest, GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.messages import Reply
from llmproxy.testing import make_exchange
from llmproxy_balance.lineup import AllWell, Gatekeeper, LineUp
from llmproxy_balance.retrybudget import RetryBudgetSettings
from llmproxy_balance.telling import lower_deadline

from .places import pool_of, target
from .walks import GOOD, Walk, refused

BROKEN = Reply.json({"error": {"message": "No."}}, 500)
UNREACHABLE = UpstreamError("upstream_unreachable", "No.", phase="connect", sent=False)


async def test_the_first_place_that_answers_is_the_only_one_asked():
    walk = Walk({"a": [GOOD]})

    assert await walk(pool_of(1, 1)) is GOOD
    assert walk.tried == ["a"]
    assert walk.watcher.heard == [("a", None)]
    assert walk.counted() == {("a", "ok"): 1}


async def test_what_is_in_flight_is_counted_until_the_attempt_ends():
    pool, walk = pool_of(1), Walk({"a": [GOOD]})
    vitals, seen = pool.places[0].vitals, []
    inner = walk.call_next

    async def looked_at(exchange):
        seen.append((vitals.in_flight, walk.budget.active))
        return await inner(exchange)

    walk.call_next = looked_at
    await walk(pool)

    assert seen == [(1, 1)]
    assert (vitals.in_flight, walk.budget.active) == (0, 0)


@pytest.mark.parametrize("end", [GatewayError(502, "attempts_spent", "No."), asyncio.CancelledError()])
async def test_what_never_became_an_attempt_is_not_in_flight(end):
    pool, walk = pool_of(1), Walk({"a": [GOOD]})

    async def refuse(exchange):
        raise end

    walk.call_next = refuse
    with pytest.raises(type(end)):
        await walk(pool)

    assert pool.places[0].vitals.in_flight == 0
    assert walk.budget.active == 0


async def test_health_hears_of_each_attempt_once():
    walk = Walk({"a": [BROKEN], "b": [UNREACHABLE], "c": [GOOD]})
    await walk(pool_of(1, 1, 1))

    assert walk.watcher.heard == [("a", "server"), ("b", "connect"), ("c", None)]
    assert walk.counted() == {("a", "server"): 1, ("b", "connect"): 1, ("c", "ok"): 1}


async def test_who_was_quicker_leaves_a_place_for_the_next():
    walk = Walk({"b": [GOOD]})
    walk.watcher.shut.add("a")
    await walk(pool_of(1, 1))

    assert walk.tried == ["b"]


async def test_where_nobody_can_be_tried_the_caller_is_told_when_to_come_back():
    walk = Walk({})
    walk.watcher.shut.update("ab")
    walk.line_up.health.until = lambda pool: 7.5
    fault = await refused(walk, pool_of(1, 1))

    assert (fault.status, fault.code, fault.retry_after) == (503, "no_place", 7.5)


async def test_where_nobody_can_ever_answer_the_caller_is_told_why():
    gate = Gatekeeper(lambda exchange, place: "cannot see pictures", lambda place: True)
    fault = await refused(Walk({}, gates=[gate]), pool_of(1))

    assert isinstance(fault, BadRequest)
    assert fault.code == "no_place_fits"
    assert "a: cannot see pictures" in fault.message


async def test_a_full_place_is_left_for_the_next_and_free_again_when_its_attempt_is_over():
    pool = pool_of(target(model="a", name="a", limit=1), target(model="b", name="b"))
    walk = Walk({"a": [GOOD], "b": [GOOD]})
    lease = walk.limits.take(make_exchange(), pool.places[0])
    await walk(pool)
    lease.release()
    await walk(pool)
    await walk(pool)

    assert walk.tried == ["b", "a", "a"]


async def test_where_all_are_full_and_none_may_wait_the_caller_is_refused():
    pool, walk = pool_of(target(model="a", name="a", limit=1)), Walk({"a": [GOOD]})
    lease = walk.limits.take(make_exchange(), pool.places[0])
    fault = await refused(walk, pool)
    lease.release()

    assert (fault.status, fault.code) == (503, "overloaded")
    assert fault.retry_after


async def test_a_plain_answer_is_good_for_health():
    walk = Walk({"a": [Reply(404)]})
    reply = await walk(pool_of(1), model=None)

    assert reply.status == 404
    assert walk.watcher.heard == [("a", None)]


async def test_an_error_of_no_place_is_no_ones_fault():
    walk = Walk({"a": [GatewayError(502, "plugin_failed", "No.")], "b": [GOOD]})
    fault = await refused(walk, pool_of(1, 1))

    assert fault.code == "plugin_failed"
    assert walk.tried == ["a"]
    assert walk.counted() == {("a", "gone"): 1}


async def test_a_caller_that_left_is_no_ones_fault():
    walk = Walk({"a": [asyncio.CancelledError()]})
    with pytest.raises(asyncio.CancelledError):
        await walk(pool_of(1))

    assert walk.watcher.heard == [("a", None)]
    assert walk.counted() == {("a", "gone"): 1}


async def test_a_retry_gives_its_part_of_the_budget_back():
    walk = Walk({"a": [BROKEN, BROKEN, GOOD]}, budget=RetryBudgetSettings(least=1, share=0))
    await walk(pool_of(1))

    assert walk.tried == ["a", "a", "a"]
    assert walk.budget.retrying == 0


async def test_one_that_goes_by_another_line_up_shares_what_is_known():
    walk = Walk({"a": [BROKEN], "b": [GOOD]})
    line_up = LineUp(AllWell())
    line_up.prefer = lambda exchange, pool, places: places[1]
    walk.walker, before = walk.walker.along(line_up), walk.walker
    pool = pool_of(1, 1)
    await walk(pool)

    assert walk.tried == ["b"]
    assert walk.walker.budget is before.budget


async def test_who_gives_a_place_no_time_says_nothing_against_it():
    late = UpstreamTimeout("total", 0.01, sent=True)
    walk = Walk({"a": [late]})
    for headers, heard in (({}, "timeout"), ({"x-llmproxy-timeout": "10ms"}, None)):
        exchange = make_exchange(model="m", headers=headers)
        pool = exchange.endpoints = pool_of(1)
        if headers:
            lower_deadline(exchange, pool)
        with pytest.raises(UpstreamTimeout):
            await walk.walker.walk(exchange, pool, walk.call_next)

        assert walk.watcher.heard.pop() == ("a", heard)


async def test_whose_caller_reads_for_longer_than_there_is_time_has_not_failed():
    walk, pool = Walk({"a": [GOOD]}), pool_of(1)
    done, walk.walker.done = walk.walker.done, lambda *ended: None
    await walk(pool)
    attempt = walk.exchange.attempts[0]
    attempt.committed, attempt.error = True, UpstreamTimeout("total", 600.0, sent=True)
    done(walk.exchange, walk.exchange.trail, attempt)

    assert walk.watcher.heard == [("a", None)]
    assert walk.counted() == {("a", "timeout"): 1}


async def test_a_trial_is_given_back_where_no_attempt_was_made():
    walk, given = Walk({}), []
    walk.watcher.unclaim = given.append

    async def refuse(exchange):
        raise GatewayError(504, "deadline_exceeded", "No.")

    walk.call_next = refuse
    with pytest.raises(GatewayError):
        await walk(pool_of(1))

    assert [endpoint.model for endpoint in given] == ["a"]


async def test_a_trial_is_given_back_where_nobody_judges_the_error_that_it_brought():
    walk, given = Walk({"a": [Reply(400, body=Body())]}), []
    walk.watcher.unclaim = given.append
    walking = asyncio.ensure_future(walk(pool_of(1)))
    await asyncio.sleep(0.01)
    walking.cancel()
    await asyncio.wait([walking])

    assert [endpoint.model for endpoint in given] == ["a"]
    assert walk.watcher.heard == []
