from __future__ import annotations

from llmproxy.stores.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(2, 10, clock=clock)
    for _ in range(2):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    clock = Clock()
    breaker = Breaker(2, 10, clock=clock)
    for failed in (True, False, True):
        assert breaker.admits()
        breaker.failed() if failed else breaker.succeeded()

    assert breaker.admits()

    breaker.failed()
    assert not breaker.admits()


def test_one_probe_at_a_time_once_the_wait_is_over() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 9.9
    assert not breaker.admits()

    clock.now = 10

    assert breaker.admits()
    assert not breaker.admits()


def test_a_probe_that_succeeds_closes() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10
    breaker.admits()

    breaker.succeeded()

    assert breaker.admits()
    assert breaker.admits()


def test_a_probe_that_fails_starts_the_wait_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10
    breaker.admits()

    breaker.failed()

    assert not breaker.admits()
    clock.now = 20
    assert breaker.admits()


def test_an_abandoned_probe_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10
    breaker.admits()

    breaker.abandoned()

    assert breaker.admits()


def test_it_is_closed_until_something_fails_and_again_from_a_success_on() -> None:
    breaker = Breaker(2, 10)
    states = [breaker.closed]
    breaker.failed()
    states.append(breaker.closed)
    breaker.succeeded()

    assert [*states, breaker.closed] == [True, False, True]
