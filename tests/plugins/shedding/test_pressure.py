"""The judge of an event loop, by a clock that is told; the loop itself as a simulation."""

import heapq
from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_shedding.pressure import Pressure

LAG, INTERVAL = 0.025, 0.1


@pytest.fixture
def pressure():
    return Pressure(LAG, INTERVAL)


def run_round(pressure, now, came, cost):
    """Read what came, then give a turn to each that is taken on; return the time, and how many were begun."""
    read = [now for _ in range(came) if pressure.takes(now)]
    begun = 0
    for asked in read:
        if pressure.begins(asked, now):
            begun += 1
            now += cost
    return now, begun


def learned(pressure, cost, now=0.0):
    """Let it see what a turn takes."""
    for _ in range(10):
        now, _ = run_round(pressure, now + 1e-3, 10, cost)
    return now


def test_what_a_turn_takes_is_found_out(pressure):
    learned(pressure, 0.0005)

    assert pressure.turn == pytest.approx(0.0005, rel=0.01)


def test_a_burst_is_taken_on_as_far_as_it_waits_for_an_interval(pressure):
    now = learned(pressure, 0.001)

    assert run_round(pressure, now + 1, 1000, 0.001)[1] == pytest.approx(INTERVAL / 0.001, abs=2)


def test_a_loop_that_stays_behind_takes_on_what_waits_for_lag(pressure):
    now = learned(pressure, 0.001)
    begun = []
    for _ in range(4):
        now, count = run_round(pressure, now, 1000, 0.001)
        begun.append(count)

    assert begun == pytest.approx([101, 26, 26, 26], abs=2)


def test_one_short_round_and_a_burst_is_taken_on_again(pressure):
    now = learned(pressure, 0.001)
    for _ in range(4):
        now, _ = run_round(pressure, now, 1000, 0.001)
    now, _ = run_round(pressure, now, 3, 0.001)

    assert run_round(pressure, now, 1000, 0.001)[1] == pytest.approx(101, abs=2)


def test_after_a_silence_a_burst_is_taken_on_again(pressure):
    now = learned(pressure, 0.001)
    for _ in range(4):
        now, _ = run_round(pressure, now, 1000, 0.001)

    assert run_round(pressure, now + 2 * INTERVAL, 1000, 0.001)[1] == pytest.approx(101, abs=2)


def test_one_long_call_refuses_nobody(pressure):
    now = learned(pressure, 0.0002)
    read = [now + 1 for _ in range(40) if pressure.takes(now + 1)]
    pressure.begins(read[0], now + 1)
    behind_it = [pressure.begins(asked, now + 1.5 + 0.0002 * place) for place, asked in enumerate(read[1:])]

    assert len(behind_it) == 39
    assert all(behind_it)
    assert run_round(pressure, now + 1.6, 150, 0.0002)[1] == 150


def test_many_long_calls_are_a_queue(pressure):
    read = [1.0 for _ in range(30) if pressure.takes(1.0)]
    begun = [pressure.begins(asked, 1.0 + 0.3 * place) for place, asked in enumerate(read)]

    assert begun[:3] == [True] * 3
    assert sum(begun) < 20


def test_turns_that_became_longer_are_noticed_when_they_come(pressure):
    now = learned(pressure, 0.00005)
    after, begun = run_round(pressure, now + 1, 1500, 0.002)

    assert begun == pytest.approx(INTERVAL / 0.002, abs=2)
    assert run_round(pressure, after, 1500, 0.002)[1] < 60


def test_who_left_before_his_turn_is_forgotten(pressure):
    now = learned(pressure, 0.001)
    taken = sum(pressure.takes(now + 1) for _ in range(500))

    assert taken < 500
    assert not pressure.takes(now + 1.01)
    assert pressure.takes(now + 1 + 2 * INTERVAL)


def test_where_nobody_is_asked_at_the_door_the_turn_decides(pressure):
    begun, now = [], 1.0
    for _ in range(4):
        asked, count = now, 0
        for _ in range(500):
            taken = pressure.begins(asked, now)
            count += taken
            now += 0.001 if taken else 0.00001
        begun.append(count)

    assert begun == pytest.approx([101, 26, 26, 26], abs=2)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 200), st.floats(0, 0.5)), max_size=8))
def test_whatever_was_one_request_after_a_silence_is_served(rounds):
    pressure, now = Pressure(LAG, INTERVAL), 0.0
    for pause, came, cost in rounds:
        now, _ = run_round(pressure, now + pause, came, cost)
    now += 2 * INTERVAL

    assert pressure.takes(now)
    assert pressure.begins(now, now + 0.001)


class Loop:
    """An event loop whose time is counted: it reads what has come, then does what was read, round by round.

    A request takes 60 % of its `cost` in its turn, the rest when its upstream has answered.
    """

    READ, REFUSAL, UPSTREAM = 0.000012, 0.00002, 0.0005

    def __init__(self, cost=0.0006):
        self.pressure, self.cost, self.now = Pressure(LAG, INTERVAL), cost, 0.0
        self.waits, self.refused = [], 0
        self._answers = []

    def run(self, load, seconds, seed=7):
        """Ask `load` times as much as it can do; return the share of its time that went into answers."""
        chance, began = Random(seed), self.now
        until, due = began + seconds, began
        self.waits, self.refused, self._answers, ready = [], 0, [], deque()
        while self.now < until:
            came = []
            while due <= self.now:
                came.append(due)
                due += chance.expovariate(load / self.cost)
            for arrived in came:
                self.now += self.READ
                if self.pressure.takes(self.now):
                    ready.append((arrived, self.now))
                else:
                    self._refuse()
            while self._answers and self._answers[0][0] <= self.now:
                ready.append((heapq.heappop(self._answers)[1], None))
            if not ready:
                self.now = max(self.now, min([due, until, *(at for at, _ in self._answers[:1])]))
            while ready:
                self._turn(*ready.popleft())
        return len(self.waits) * self.cost / seconds

    def _turn(self, arrived, asked):
        if asked is None:
            self.now += 0.4 * self.cost
            self.waits.append(self.now - arrived)
        elif self.pressure.begins(asked, self.now):
            self.now += 0.6 * self.cost
            heapq.heappush(self._answers, (self.now + self.UPSTREAM, arrived))
        else:
            self._refuse()

    def _refuse(self):
        self.now += self.REFUSAL
        self.refused += 1

    def worst(self, share=0.99):
        return sorted(self.waits)[int(len(self.waits) * share)]


@pytest.mark.parametrize("load", [1.5, 3, 6])
def test_a_loop_that_is_asked_too_much_does_nearly_what_it_can_and_is_not_late(load):
    loop = Loop()
    share = loop.run(load, 10)
    spent = (loop.READ + loop.REFUSAL) / loop.cost
    possible = (1 - load * spent) / (1 - spent)

    assert share > 0.95 * possible
    assert loop.worst() < 3 * INTERVAL
    assert loop.worst(0.5) < 2 * INTERVAL


def test_the_answers_of_an_overloaded_loop_take_less_than_twice_as_long_as_at_its_capacity():
    at = Loop()
    at.run(1, 5)
    over = Loop()
    over.run(3, 5)

    assert over.worst() < 2 * at.worst()


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_a_loop_that_is_not_asked_too_much_refuses_nobody(load):
    loop = Loop()
    share = loop.run(load, 10)

    assert share == pytest.approx(load, rel=0.05)
    assert loop.refused == 0


def test_a_load_that_ends_leaves_nothing_behind():
    loop = Loop()
    loop.run(5, 3)
    loop.run(0.5, 0.2)
    loop.run(0.5, 5)

    assert loop.refused == 0
    assert loop.worst() < LAG


def test_requests_of_many_kinds_are_no_reason_to_be_late():
    loop = Loop()
    for cost in (0.0003, 0.003, 0.0002, 0.01):
        loop.cost = cost
        loop.run(3, 3)

        assert loop.worst() < 5 * INTERVAL
