"""The judge of an event loop, by a clock that is told; the loop itself as a simulation."""

from random import Random

import pytest

from llmproxy_shedding.pressure import BEAT, Pressure

LAG, INTERVAL = 0.05, 0.2


@pytest.fixture
def pressure():
    return Pressure(LAG, INTERVAL, 0.0)


def beats(pressure, *times):
    for now in times:
        pressure.beat(now)


def test_all_are_taken_on_while_beats_come_in_time(pressure):
    for number in range(1, 100):
        pressure.beat(number * 0.06)

        assert pressure.takes(number * 0.06 + 0.05)


def test_one_slow_request_refuses_nobody(pressure):
    beats(pressure, 0.02, 0.24)

    assert pressure.takes(0.24)
    beats(pressure, 0.26)
    assert pressure.rate is None


def test_a_loop_that_is_behind_for_an_interval_takes_on_what_it_did_lately(pressure):
    for number in range(50):
        for _ in range(4):
            pressure.done()
        pressure.beat((number + 1) * BEAT)
    now = 50 * BEAT

    assert not pressure.takes(now + 0.3)
    assert pressure.rate == pytest.approx(200, rel=0.2)
    assert sum(pressure.takes(now + 0.3 + step / 1000) for step in range(100)) == pytest.approx(20, rel=0.2)


def test_what_is_taken_on_in_a_burst_is_bounded(pressure):
    pressure.takes(1.0)
    pressure.rate = 100.0

    assert sum(pressure.takes(5.0) for _ in range(50)) == 5


def test_late_beats_make_it_less_and_punctual_ones_more(pressure):
    beats(pressure, 1.0)
    pressure.rate = 100.0
    while pressure.takes(1.0):
        pass
    beats(pressure, 1.1)
    less = pressure.rate
    beats(pressure, 1.12)

    assert less == pytest.approx(90)
    assert pressure.rate == pytest.approx(91.8)


def test_somebody_is_taken_on_in_any_case(pressure):
    taken = []
    for number in range(1, 100):
        pressure.beat(1.0 + 0.1 * number)
        taken += [pressure.takes(1.0 + 0.1 * number) for _ in range(10)]

    assert pressure.rate == 1.0
    assert sum(taken[-200:]) == 2


def test_it_is_over_when_nobody_had_to_be_refused_for_a_second(pressure):
    assert not pressure.takes(1.0)
    beats(pressure, 1.02, 1.9)
    strained = pressure.rate
    beats(pressure, 2.01)

    assert strained is not None
    assert pressure.rate is None
    beats(pressure, 2.03)
    assert pressure.takes(2.03)


def simulate(load, *, seconds=10.0, cost=0.001, refusal=0.00005):
    """A loop that does what has come, turn by turn; return the share of its time well spent, and the worst wait."""
    pressure, chance = Pressure(LAG, INTERVAL, 0.0), Random(7)
    now = beat = 0.0
    due = chance.expovariate(load / cost)
    served, waits = 0, []
    while now < seconds:
        if now >= beat + BEAT:
            pressure.beat(now)
            beat = now
        came = []
        while due <= now:
            came.append(due)
            due += chance.expovariate(load / cost)
        for arrived in came:
            taken = pressure.takes(now)
            now += cost if taken else refusal
            if taken:
                pressure.done()
                served += 1
                if arrived > 2.0:
                    waits.append(now - arrived)
        now = max(now, min(due, beat + BEAT))
    return served * cost / seconds, max(waits)


@pytest.mark.parametrize("load", [2, 3, 5])
def test_a_loop_that_is_asked_too_much_does_nearly_what_it_can_and_is_not_late(load):
    share, worst = simulate(load)
    possible = (1 - load * 0.05) / (1 - 0.05)

    assert share > 0.88 * possible
    assert worst < 6 * LAG


def test_a_loop_that_is_not_asked_too_much_refuses_nobody():
    share, _ = simulate(0.8)

    assert share == pytest.approx(0.8, rel=0.05)
