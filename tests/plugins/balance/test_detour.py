"""After a failure: who is tried next, how long is waited, what the caller gets if nothing helped."""

import pytest

from llmproxy.body import Body
from llmproxy.errors import BadRequest, GatewayError, ProviderError, UpstreamError
from llmproxy.messages import Reply
from llmproxy_balance.lineup import AllWell
from llmproxy_balance.retrybudget import RetryBudgetSettings

from .places import pool_of, target
from .walks import GOOD, Walk, refused

UNREACHABLE = UpstreamError("upstream_unreachable", "No.", phase="connect", sent=False)
NO_WORDS = BadRequest("not_supported_by_provider", "No such call.")


def failed(status, headers=None, **error):
    return Reply.json({"error": {"message": "No.", **error}}, status, headers)


async def test_the_next_place_is_tried():
    walk = Walk({"a": [failed(500)], "b": [UNREACHABLE], "c": [GOOD]})

    assert await walk(pool_of(1, 1, 1)) is GOOD
    assert walk.tried == ["a", "b", "c"]
    assert walk.clock.slept == []


async def test_failures_are_written_down_by_attempt():
    walk = Walk({"a": [failed(500)], "b": [UNREACHABLE], "c": [GOOD]})
    await walk(pool_of(1, 1, 1))
    failures = walk.exchange.trail.failures

    assert {number: failure.kind for number, failure in failures.items()} == {1: "server", 2: "connect"}


async def test_when_all_have_failed_the_first_one_that_may_do_better_is_waited_for():
    walk = Walk({"a": [failed(503), GOOD], "b": [failed(401)]})

    assert await walk(pool_of(1, 1)) is GOOD
    assert walk.tried == ["a", "b", "a"]
    assert walk.clock.slept == [pytest.approx(0.1, rel=0.5)]


async def test_the_same_place_is_tried_again_first_where_that_is_wanted():
    walk = Walk({"a": [failed(500), failed(500), GOOD], "b": [GOOD]}, retries=1)
    await walk(pool_of(1, 1), attempts=4)

    assert walk.tried == ["a", "a", "b"]


async def test_what_time_does_not_mend_is_not_tried_again():
    walk = Walk({"a": [failed(401)]}, retries=3)
    reply = await walk(pool_of(1))

    assert reply.status == 401
    assert walk.tried == ["a"]


async def test_a_wait_that_a_place_asks_for_is_kept():
    walk = Walk({"a": [failed(429, {"Retry-After": "2"}), GOOD]})
    await walk(pool_of(1))

    assert walk.clock.slept == [2.0]


async def test_a_wait_beyond_the_callers_patience_is_passed_on():
    walk = Walk({"a": [failed(429, {"Retry-After": "6"}), GOOD]})
    reply = await walk(pool_of(1))

    assert reply.status == 429
    assert walk.clock.slept == []


async def test_a_wait_beyond_the_deadline_is_passed_on_at_once():
    walk = Walk({"a": [failed(429, {"Retry-After": "2"}), GOOD]})
    reply = await walk(pool_of(1), deadline=101.0)

    assert reply.status == 429
    assert walk.clock.slept == []


async def test_nothing_is_tried_after_the_deadline():
    walk = Walk({"a": [failed(500)], "b": [GOOD]}, took=1.0)
    reply = await walk(pool_of(1, 1), deadline=101.0)

    assert reply.status == 500
    assert walk.tried == ["a"]


async def test_no_more_attempts_are_made_than_the_route_allows():
    walk = Walk({name: [failed(500)] for name in "abcd"})
    await walk(pool_of(1, 1, 1, 1), attempts=2)

    assert walk.tried == ["a", "b"]


async def test_a_mistake_of_the_caller_ends_the_walk():
    walk = Walk({"a": [failed(400)], "b": [GOOD]})
    reply = await walk(pool_of(1, 1))

    assert reply.status == 400
    assert walk.tried == ["a"]


async def test_what_one_dialect_has_no_words_for_another_may():
    walk = Walk({"a": [NO_WORDS], "b": [GOOD]})

    assert await walk(pool_of(1, 1)) is GOOD


async def test_an_unsafe_request_is_not_sent_twice():
    walk = Walk({"a": [failed(500)], "b": [GOOD]})
    reply = await walk(pool_of(1, 1), model=None, method="POST")

    assert reply.status == 500
    assert walk.tried == ["a"]


async def test_an_upload_is_not_sent_twice():
    walk = Walk({"a": [UNREACHABLE], "b": [GOOD]})
    fault = await refused(walk, pool_of(1, 1), model=None, body=Body())

    assert fault is UNREACHABLE
    assert walk.tried == ["a"]


async def test_places_that_are_meant_for_a_failure_go_first_and_are_tried_for_no_other():
    targets = [target(model="c", name="c", after=["rate_limit"])]
    walk = Walk({"a": [failed(500), failed(429)], "b": [failed(429)], "c": [GOOD]})
    await walk(pool_of(1, 1, *targets))

    assert walk.tried == ["a", "b", "c"]


async def test_a_full_window_leads_to_no_place_that_is_not_known_to_be_larger():
    walk = Walk({"a": [failed(400, code="context_length_exceeded")], "b": [GOOD], "c": [GOOD]})
    windows = {"a": 100, "c": 200}
    walk.line_up.window = lambda exchange, place: windows.get(place.name)
    await walk(pool_of(1, 1, 1))

    assert walk.tried == ["a", "c"]


async def test_a_refused_content_leads_back_to_nobody_who_failed_before():
    walk = Walk({"a": [failed(500), GOOD], "b": [failed(400, code="content_filter")]})
    reply = await walk(pool_of(1, 1))

    assert reply.status == 400
    assert walk.tried == ["a", "b"]


async def test_those_that_are_spared_serve_when_all_others_have_failed():
    class Sparing(AllWell):
        def eligible(self, pool):
            return pool.places[:1]

        def spare(self, pool):
            return pool.places

    walk = Walk({"a": [failed(500)], "b": [GOOD]})
    walk.line_up.health = Sparing()
    await walk(pool_of(1, 1))

    assert walk.tried == ["a", "b"]


async def test_the_same_endpoint_is_not_tried_twice_as_another_place():
    same = target(model="a", name="twin")
    walk = Walk({"a": [failed(401)], "b": [GOOD]})
    await walk(pool_of(1, same, target(model="b", name="b")))

    assert walk.tried == ["a", "b"]


async def test_a_storm_is_stopped_but_not_the_way_to_a_place_that_is_well():
    walk = Walk({"a": [failed(500)], "b": [GOOD]}, budget=RetryBudgetSettings(share=0, least=0))

    assert await walk(pool_of(1, 1)) is GOOD
    walk.script["b"] = [failed(500)]
    await walk(pool_of(1, 1))
    await walk(pool_of(1, 1))

    assert walk.tried == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (failed(429), UNREACHABLE, 429),
        (failed(401), failed(503), 503),
        (failed(503), failed(401), 503),
        (failed(500), failed(503), 503),
        (failed(401), UNREACHABLE, 401),
        (failed(413), failed(500), 413),
    ],
)
async def test_the_most_useful_answer_is_given(first, second, status):
    walk = Walk({"a": [first], "b": [second]})
    reply = await walk(pool_of(1, 1), attempts=2)

    assert reply.status == status
    assert walk.exchange.endpoint.model == ("a" if reply is first else "b")


async def test_a_refusal_of_the_core_gives_way_to_what_a_place_said():
    spent = UpstreamError("deadline_exceeded", "Over.", phase="total", sent=False, status=504)
    walk = Walk({"a": [failed(500)], "b": [spent]})
    reply = await walk(pool_of(1, 1))

    assert reply.status == 500


async def test_a_plugin_that_forbids_another_attempt_leaves_the_caller_what_a_place_said():
    walk = Walk({"a": [failed(500)], "b": [GatewayError(409, "not_resent", "No.")]})
    reply = await walk(pool_of(1, 1))

    assert reply.status == 500


async def test_an_error_that_did_not_come_whole_holds_no_connection():
    left = []
    body = Body(abandon=lambda: left.append("left"))
    body.feed(b"{")
    walk = Walk({"a": [Reply(500, body=body)], "b": [UNREACHABLE]})
    fault = await refused(walk, pool_of(1, 1), attempts=2, deadline=100.05)

    assert left == ["left"]
    assert fault.code in ("upstream_failed", "upstream_unreachable")


async def test_the_last_error_is_passed_on_as_it_comes():
    body = Body()
    body.feed(b"x" * 100_000)
    reply = await Walk({"a": [Reply(500, body=body)]})(pool_of(1), attempts=1)

    assert isinstance(reply.body, Body)
    assert reply.body.state == body.state


async def test_an_error_that_a_provider_told_in_its_stream_leads_to_the_next_place():
    told = ProviderError(503, "overloaded_error", "Busy.", kind="overloaded")
    walk = Walk({"a": [told], "b": [GOOD]})

    assert await walk(pool_of(1, 1)) is GOOD
    assert walk.watcher.heard == [("a", "overloaded"), ("b", None)]


async def test_a_retry_whose_answer_takes_long_is_no_part_of_a_storm():
    walk = Walk({"a": [failed(500), failed(500), GOOD]}, retries=2)
    inner, counted = walk.call_next, []

    async def looked_at(exchange):
        reply = await inner(exchange)
        counted.append(walk.budget.retrying)
        return reply

    walk.call_next = looked_at
    done, walk.walker.done = walk.walker.done, lambda *ended: None  # as their bodies are still on their way
    await walk(pool_of(1))

    assert counted == [0, 1, 2]
    assert walk.budget.retrying == 1, "that of the attempt that failed, until its end"
    for attempt in walk.exchange.attempts:
        done(walk.exchange, walk.exchange.trail, attempt)
    assert walk.budget.retrying == 0
