"""Whom probes ask when, and what follows, by a clock that only this test moves."""

from __future__ import annotations

from llmproxy.plugin import Clock, Endpoint
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import HealthSettings, ProbeSettings
from llmproxy_balance.probing import Probes


class Hands(Clock):
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.now = lambda: self.time  # type: ignore[method-assign,assignment]


class Round:
    """Some endpoints and whoever asks for them."""

    def __init__(self, *endpoints: Endpoint, **settings: ProbeSettings) -> None:
        self.clock = Hands()
        self.health = {each: Health(HealthSettings(), lambda: 0.0) for each in endpoints}
        self.probes = Probes(settings, self.clock, lambda: 0.5)

    def after(self, seconds: float) -> list[Endpoint]:
        self.clock.time += seconds
        return self.probes.due(self.health.items())

    def answer(self, endpoint: Endpoint, status: int | None) -> None:
        self.probes.answered(endpoint, status, self.health.items())

    def state(self, endpoint: Endpoint) -> State:
        return self.health[endpoint].state


A, A2, B = Endpoint("a", "one"), Endpoint("a", "two"), Endpoint("b")
EVERY = ProbeSettings(path="/health", interval=10.0, unhealthy=2, healthy=2)


def test_each_address_is_asked_once_an_interval_whatever_its_models() -> None:
    probing = Round(A, A2, B, a=EVERY)

    assert probing.after(0.0) == []
    assert probing.after(5.0) == [A]
    probing.answer(A, 200)
    assert probing.after(9.0) == []
    assert probing.after(1.0) == [A]
    assert (probing.probes.path(A), probing.probes.timeout(A)) == ("/health", 2.0)


def test_members_are_asked_each_for_itself_and_forgotten_with_their_leaving() -> None:
    one, two = Endpoint("a", None, "a@10.0.0.1:80"), Endpoint("a", None, "a@10.0.0.2:80")
    probing = Round(one, two, a=EVERY)
    probing.after(0.0)

    assert probing.after(5.0) == [one, two]
    del probing.health[two]
    probing.answer(one, 200)
    assert probing.after(10.0) == [one]
    probing.answer(two, None)


def test_nobody_is_asked_again_before_he_has_answered() -> None:
    probing = Round(A, a=EVERY)
    probing.after(0.0)

    assert probing.after(5.0) == [A]
    assert probing.after(100.0) == []


def test_nobody_is_asked_whom_traffic_proves_well() -> None:
    probing = Round(A, A2, a=EVERY)
    probing.after(0.0)
    for health in probing.health.values():
        health.succeeded(104.0)

    assert probing.after(5.0) == []
    assert probing.after(20.0) == [A]


def test_failed_probes_hold_all_models_of_the_address_until_as_many_go_well() -> None:
    probing = Round(A, A2, B, a=EVERY)
    probing.after(0.0)

    for status in (500, None):
        assert probing.state(A) is State.CLOSED
        probing.after(10.0)
        probing.answer(A, status)
    assert [probing.state(each) for each in (A, A2, B)] == [State.OPEN, State.OPEN, State.CLOSED]
    for _ in range(2):
        assert probing.state(A) is State.OPEN
        assert probing.after(10.0) == [A]
        probing.answer(A, 204)

    assert [probing.state(each) for each in (A, A2)] == [State.HALF_OPEN] * 2


def test_nobody_is_held_for_ever_when_the_probes_end() -> None:
    probing = Round(A, a=ProbeSettings(unhealthy=1))
    probing.after(0.0)
    probing.after(10.0)
    probing.answer(A, None)
    probing.clock.time += 25.0

    assert probing.health[A].admits(probing.clock.time, lambda: 0.0)


def test_what_a_good_answer_is_may_be_said() -> None:
    probing = Round(A, a=ProbeSettings(unhealthy=1, statuses=(401,)))
    probing.after(0.0)
    probing.after(10.0)
    probing.answer(A, 401)
    assert probing.state(A) is State.CLOSED
    probing.after(10.0)
    probing.answer(A, 200)

    assert probing.state(A) is State.OPEN


def test_looks_are_as_frequent_as_the_shortest_interval_needs() -> None:
    def pause(*intervals: float) -> float:
        return Round(**{str(each): ProbeSettings(interval=each) for each in intervals}).probes.pause

    assert (pause(60.0), pause(60.0, 1.0), pause(0.05)) == (1.0, 0.1, 0.02)


def test_who_is_no_place_of_any_pool_is_told() -> None:
    assert Round(A, a=EVERY, azzure=EVERY).probes.strangers(["a", "azure"]) == ["azzure"]
