"""What follows from a failure: which requests may be repeated, which failures lead elsewhere, how long to wait."""

from random import Random

import pytest

from llmproxy.body import Body
from llmproxy.errors import ConfigError
from llmproxy.failures import KINDS
from llmproxy.plugin import Failure
from llmproxy.testing import make_exchange
from llmproxy_balance.config import BackoffSettings
from llmproxy_balance.retrying import (
    ELSEWHERE,
    PASSING,
    Backoff,
    check_after,
    goes_elsewhere,
    is_answer,
    may_repeat,
)

from .places import target

SENT, UNSENT = Failure("reset", sent=True), Failure("connect", sent=False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_a_safe_request_may_be_repeated(method):
    assert may_repeat(make_exchange(method), SENT, uploaded=False)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_unsafe_request_may_be_repeated_unless_it_was_sent(method):
    exchange = make_exchange(method)

    assert may_repeat(exchange, UNSENT, uploaded=False)
    assert not may_repeat(exchange, SENT, uploaded=False)


def test_an_unsafe_request_may_be_repeated_by_its_key():
    assert may_repeat(make_exchange(headers={"Idempotency-Key": "k"}), SENT, uploaded=False)


def test_a_call_of_a_model_may_be_repeated():
    assert may_repeat(make_exchange(model="m"), SENT, uploaded=False)


def test_an_upload_that_was_not_read_is_gone():
    exchange = make_exchange("PUT")
    coming = make_exchange("PUT", model="m")
    coming.upload = Body()

    assert not may_repeat(exchange, UNSENT, uploaded=True)
    assert not may_repeat(coming, UNSENT, uploaded=False)


def test_an_upgrade_may_be_repeated_unless_it_was_sent():
    exchange = make_exchange("GET", model="m")
    exchange.upgraded = True

    assert may_repeat(exchange, UNSENT, uploaded=False)
    assert not may_repeat(exchange, SENT, uploaded=False)


def test_what_a_plain_upstream_says_is_its_answer_unless_it_could_not_answer():
    plain, model = make_exchange(), make_exchange(model="m")

    assert [
        status for status in (400, 401, 404, 409, 429, 500, 502, 503, 504) if is_answer(plain, status)
    ] == [
        400,
        401,
        404,
        409,
    ]
    assert not is_answer(model, 400)


def test_each_kind_leads_somewhere():
    stays = {"invalid_request", "window", "policy"}

    assert {kind for kind in KINDS if not goes_elsewhere(Failure(kind))} == stays
    assert PASSING < ELSEWHERE < KINDS


def test_what_one_dialect_has_no_words_for_leads_elsewhere():
    assert goes_elsewhere(Failure("invalid_request", 400, sent=False, phase="encode"))


def test_waits_grow_to_a_bound_and_have_chance_in_them():
    backoff = Backoff(BackoffSettings(first=0.1, most=1.0), Random(1))
    waits = [backoff.wait(tries, SENT) for tries in range(1, 8)]

    for wait, longest in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0), strict=True):
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == len(waits)


def test_the_same_seed_waits_the_same():
    def waits(seed):
        backoff = Backoff(BackoffSettings(), Random(seed))
        return [backoff.wait(tries, SENT) for tries in range(1, 6)]

    assert waits(7) == waits(7) != waits(8)


def test_no_wait_is_shorter_than_what_the_place_asked_for():
    backoff = Backoff(BackoffSettings(first=0.1, most=1.0), Random(1))

    assert backoff.wait(1, Failure("rate_limit", 429, 3.0)) == 3.0
    assert backoff.wait(1, Failure("rate_limit", 429, 0.0)) >= 0.05
    assert backoff.wait(10_000, SENT) <= 1.0


def test_a_target_is_meant_for_failures_that_there_are():
    check_after(target(after=sorted(KINDS - {"invalid_request"})))
    with pytest.raises(ConfigError, match="did you mean 'window'"):
        check_after(target(after=["policy", "windwo"]))
    with pytest.raises(ConfigError, match="at every place"):
        check_after(target(after=["invalid_request"]))
