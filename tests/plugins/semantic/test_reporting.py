"""What is told of answers by likeness."""

from __future__ import annotations

from random import Random

import orjson

from llmproxy_semantic.reporting import lines, plain
from llmproxy_semantic.verifying import Verification


def policy(samples: int, wrong_each: int = 10_000) -> Verification:
    verification = Verification(0.05, Random(1))
    for number in range(samples):
        verification.judged(0.8, wrong=number % wrong_each == 1)
    return verification


def report(verification: Verification) -> str:
    told = {"routes": {"chat": plain(verification.told(), quarantined=2, vetoes=3)}}
    return "\n".join(lines(orjson.loads(orjson.dumps(told))))


def test_a_route_that_keeps_its_promise_is_certified_with_its_bound() -> None:
    told = report(policy(600, wrong_each=100))

    assert "route       chat: certified" in told
    assert "at most 5.00% of requests" in told
    assert "600 samples; of them 600 would be hits, 6 wrong: at most 1.96% with 95 %" in told
    assert "1.00% are wrong (0.37% to 2.16%): not what is promised" in told
    assert "2 answers held back, 3 pairs vetoed" in told


def test_a_route_with_too_few_samples_is_not() -> None:
    told = report(policy(10))

    assert "chat: not certified (too few samples): offline thresholds" in told


def test_a_route_that_has_not_seen_anything_has_no_bound() -> None:
    told = report(policy(0))

    assert "no bound yet" in told
    assert "of hits" not in told


def test_a_route_that_was_braked_says_that_nothing_is_answered() -> None:
    verification = policy(0)
    for _ in range(20):
        verification.judged(0.999, wrong=True)
    told = report(verification)

    assert "not certified (more than delta is wrong): nothing is answered by likeness" in told
    assert "thresholds" not in told
    assert "1 times braked" in told


def test_a_gateway_without_such_routes_says_so() -> None:
    assert list(lines({"routes": {}})) == ["no route answers by likeness with verification"]
