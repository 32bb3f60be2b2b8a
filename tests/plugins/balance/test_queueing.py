"""The line, by a clock that is told."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmproxy_balance.limitsettings import QueueSettings
from llmproxy_balance.queueing import Line, Waiter

SETTINGS = QueueSettings(length=6, wait=5.0, target=0.5, interval=1.0)


class Named(Waiter):
    def __init__(self, name, tenant, since, until=float("inf")):
        super().__init__(tenant, since, until)
        self.name = name

    def __repr__(self):
        return self.name


@pytest.fixture
def line():
    return Line(SETTINGS)


def join(line, *names, now=0.0, **known):
    """Let requests called after their tenants wait: a1, a2, b1..."""
    return [line.join(Named(name, name[0], now, **known), now) for name in names]


def served(line, now=0.0, takes=lambda waiter: True):
    order = []
    while (waiter := line.serve(takes, now)) is not None:
        order.append(waiter.name)
    return order


def strain(line, now=0.0):
    """Have somebody stand for a whole interval; it is gone when this returns, and the line is strained."""
    join(line, "z1", now=now)
    line.expire(now + 0.5)
    line.expire(now + 1.5)
    assert line.strained
    assert len(line) == 0
    return now + 1.5


def test_the_oldest_goes_first(line):
    join(line, "a1", "a2", "a3")

    assert served(line) == ["a1", "a2", "a3"]


def test_tenants_take_turns_however_many_requests_one_has(line):
    join(line, "a1", "a2", "a3", "b1", "c1")

    assert served(line) == ["a1", "b1", "c1", "a2", "a3"]


def test_a_tenant_that_was_served_stands_behind_all_others(line):
    join(line, "a1", "b1", "a2")
    first = line.serve(lambda waiter: True, 0.0)
    join(line, "c1", "b2")

    assert first.name == "a1"
    assert served(line) == ["b1", "a2", "c1", "b2"]


def test_who_does_not_take_the_place_keeps_his_turn(line):
    join(line, "a1", "a2", "b1")

    assert line.serve(lambda waiter: waiter.name == "a2", 0.0).name == "a2"
    assert line.serve(lambda waiter: False, 0.0) is None
    assert served(line) == ["b1", "a1"]


def test_a_full_line_refuses_the_newest_of_the_largest_tenant(line):
    join(line, "a1", "a2", "a3", "a4", "b1", "b2")

    assert [each.name for each in join(line, "a5", "b3", "c1")] == ["a5", "a4", "a3"]
    assert served(line) == ["a1", "b1", "c1", "a2", "b2", "b3"]


def test_a_strained_full_line_refuses_the_oldest_of_the_largest_tenant(line):
    now = strain(line)
    join(line, "a1", "a2", "a3", "a4", "b1", "b2", now=now)

    assert [each.name for each in join(line, "a5", "b3", now=now)] == ["a1", "a2"]
    assert served(line, now) == ["a5", "b3", "a4", "b2", "a3", "b1"]


def test_no_length_has_nobody_wait():
    line = Line(QueueSettings(length=0))

    assert [each.name for each in join(line, "a1")] == ["a1"]
    assert len(line) == 0


def test_nobody_waits_longer_than_he_may():
    line = Line(QueueSettings(wait=5.0, target=4.0))
    join(line, "a1")
    join(line, "b1", until=2.0)
    join(line, "c1", now=1.0)

    assert (line.expire(1.9), [each.name for each in line.expire(2.0)]) == ([], ["b1"])
    assert [each.name for each in line.expire(5.0)] == ["a1"]
    assert line.due(5.0) == 6.0


def test_a_line_that_only_was_long_for_a_moment_stays_calm(line):
    join(line, "a1", "a2")
    line.expire(0.6)
    served(line, 0.7)
    join(line, "a3", now=0.8)
    line.expire(1.7)

    assert not line.strained


def test_a_line_that_stands_serves_the_newest_and_sends_the_rest_away(line):
    join(line, "a1")
    assert line.expire(0.5) == []
    join(line, "a2", now=1.1)
    join(line, "a3", now=1.2)
    gone = line.expire(1.5)

    assert line.strained
    assert [each.name for each in gone] == ["a1"]
    assert line.serve(lambda waiter: True, 1.5).name == "a3"
    assert [each.name for each in line.expire(1.6)] == ["a2"]


def test_a_line_is_calm_when_it_was_served_to_its_end(line):
    now = strain(line)
    join(line, "a1", "a2", now=now)
    line.serve(lambda waiter: True, now)
    between = line.strained
    line.serve(lambda waiter: True, now)

    assert (between, line.strained) == (True, False)


def test_a_line_that_was_only_sent_away_is_as_strained_as_before(line):
    now = strain(line)
    join(line, "a1", now=now)

    assert [each.name for each in line.expire(now + 0.5)] == ["a1"]
    assert line.strained
    line.relax()
    assert not line.strained


def test_who_leaves_is_forgotten_and_may_leave_again(line):
    first, second = Named("a1", "a", 0.0), Named("a2", "a", 0.0)
    line.join(first, 0.0)
    line.join(second, 0.0)
    line.leave(first)
    line.leave(first)

    assert served(line) == ["a2"]


class Queue(RuleBasedStateMachine):
    """Any history: the line is bounded, nobody is lost, nobody is served twice, tenants take turns."""

    def __init__(self):
        super().__init__()
        self.line = Line(SETTINGS)
        self.now = 0.0
        self.here = {}
        self.count = 0

    @rule(tenant=st.sampled_from("abc"), patience=st.floats(0.01, 20))
    def join(self, tenant, patience):
        self.count += 1
        waiter = Named(f"{tenant}{self.count}", tenant, self.now, self.now + patience)
        self.here[waiter] = None
        gone = self.line.join(waiter, self.now)
        if gone is not None:
            del self.here[gone]

    @rule(seconds=st.sampled_from([0.001, 0.2, 0.5, 1.0, 6.0]))
    def wait(self, seconds):
        self.now += seconds
        for gone in self.line.expire(self.now):
            del self.here[gone]

        assert all(self.now - each.since < SETTINGS.wait and each.until > self.now for each in self.here)

    @rule(tenants=st.sets(st.sampled_from("abc")))
    def serve(self, tenants):
        waiter = self.line.serve(lambda each: each.tenant in tenants, self.now)
        if waiter is None:
            assert tenants.isdisjoint(each.tenant for each in self.here)
        else:
            del self.here[waiter]
            own = [each for each in self.here if each.tenant == waiter.tenant]
            ages = [each.since for each in own]
            assert all(since <= waiter.since for since in ages) or all(
                since >= waiter.since for since in ages
            )

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data):
        waiter = data.draw(st.sampled_from(list(self.here)))
        self.line.leave(waiter)
        del self.here[waiter]

    @invariant()
    def those_who_wait_are_in_the_line(self):
        assert len(self.line) == len(self.here) <= SETTINGS.length
        assert all(waiter in self.line for waiter in self.here)


TestQueue = Queue.TestCase
