"""What callers ask for and are told by header."""

import pytest

from llmproxy.errors import BadRequest
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.plugin import Failure, Reply
from llmproxy.pools import Place
from llmproxy.poolsettings import TargetConfig
from llmproxy.testing import make_exchange
from llmproxy_balance.telling import HURRIED, lower_deadline, quoted, tell_attempts, wants
from llmproxy_balance.walking import Taken, Trail

from .places import pool_of

POOL = pool_of(1)


def lowered(text, deadline=0.0):
    exchange = make_exchange(headers={"x-llmproxy-timeout": text}, started=100.0)
    exchange.deadline = deadline
    lower_deadline(exchange, POOL)
    return exchange.deadline


def test_a_caller_may_have_less_time():
    assert lowered("20s", 160.0) == 120.0
    assert lowered("250ms") == 100.25


def test_a_caller_may_not_have_more_time():
    assert lowered("20s", 110.0) == 110.0


def test_only_who_has_less_time_than_he_might_have_is_in_a_hurry():
    for text, hurried in (("20s", True), ("70s", False)):
        exchange = make_exchange(headers={"x-llmproxy-timeout": text}, started=100.0)
        exchange.deadline = 160.0
        lower_deadline(exchange, POOL)

        assert (HURRIED in exchange.state) is hurried


@pytest.mark.parametrize("text", ["soon", "-1s", "", "1e999"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadRequest) as told:
        lowered(text)

    assert told.value.code == "bad_timeout"


def test_attempts_are_told_of_where_they_are_asked_for():
    assert wants(make_exchange(headers={"x-llmproxy-explain": "Attempts, other"}), b"attempts")
    assert not wants(make_exchange(headers={"x-llmproxy-explain": "other"}), b"attempts")
    assert not wants(make_exchange(), b"attempts")


def told(*attempts, failures=()):
    exchange = make_exchange()
    trail = Trail(None, POOL)
    for attempt in attempts:
        exchange.attempts.append(attempt)
        place = Place(attempt.endpoint.upstream, TargetConfig(upstream="a"), attempt.endpoint)
        trail.taken[attempt.number] = Taken(place, place.vitals, False, None)
    trail.failures.update(failures)
    reply = Reply(200)
    tell_attempts(exchange, trail, reply, 9.0)
    return reply.headers.get("x-llmproxy-attempts")


def test_each_attempt_is_told_with_its_place_its_end_and_its_time():
    first = Attempt(1, Endpoint("a"), 1.0, status=429, headers_at=1.25, ended=1.3)
    second = Attempt(2, Endpoint("b"), 2.0, ended=2.5, error=ConnectionResetError())
    third = Attempt(3, Endpoint("c"), 3.0, status=200, headers_at=3.1, first_output_at=3.4)
    failures = {1: Failure("rate_limit", 429), 2: Failure("reset")}

    assert told(first, second, third, failures=failures) == (
        '"a";failure=rate_limit;status=429;ms=250, "b";failure=reset;ms=500, "c";status=200;ms=400'
    )


def test_nothing_is_told_where_nothing_was_tried():
    assert told() is None


def test_a_name_cannot_break_out_of_its_quotes():
    assert quoted('a"b\\c\r\né') == '"a\\"b\\\\c???"'


def test_members_are_told_of_by_their_targets_name():
    place = Place("a@10.0.0.1:80", TargetConfig(upstream="a"), Endpoint("a", None, "a@10.0.0.1:80"))
    place.label = "a"
    exchange, reply = make_exchange(), Reply(200)
    exchange.attempts.append(Attempt(1, place.endpoint, 0.0, status=200))
    tell_attempts(exchange, Trail(None, POOL, taken={1: Taken(place, None, False, None)}), reply, 0.1)

    assert reply.headers.get("x-llmproxy-attempts") == '"a";status=200;ms=100'
