"""The machine, by a clock that only this test moves."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmproxy_balance.health import FIRST_SHARE, JITTER, TRIAL, Health, State
from llmproxy_balance.healthsettings import HealthSettings

CLOSED, CLIMBING, HALF_OPEN, OPEN = State


def no_jitter() -> float:
    return 0.0


def never() -> float:
    return 1.0


def machine(settings: HealthSettings | None = None, random: Callable[[], float] = no_jitter) -> Health:
    return Health(settings or HealthSettings(), random)


def opened(settings: HealthSettings | None = None, now: float = 0.0) -> Health:
    health = machine(settings)
    for _ in range(5):
        health.failed(now)
    return health


def climbing() -> Health:
    health = opened()
    assert health.claim(5.0)
    health.succeeded(5.0)
    return health


def test_states_are_named_as_people_read_them() -> None:
    assert [state.word for state in State] == ["closed", "climbing", "half_open", "open"]


def test_failures_in_a_row_open_it() -> None:
    health = machine()

    for _ in range(4):
        health.failed(1.0)
    assert health.state is CLOSED
    health.failed(1.0)

    assert (health.state, health.cause, health.since, health.until) == (OPEN, "failures", 1.0, 6.0)


def test_a_good_answer_between_them_starts_the_row_over() -> None:
    health = machine()

    for _ in range(50):
        for _ in range(4):
            health.failed(1.0)
            health.succeeded(1.0)
        health.succeeded(1.0)

    assert health.state is CLOSED


def test_half_of_twenty_within_the_window_open_it() -> None:
    health = machine(HealthSettings(failures=100))

    for step in range(9):
        health.succeeded(0.1 * step)
        health.failed(0.1 * step)
    health.succeeded(1.0)
    assert health.state is CLOSED
    health.failed(1.0)

    assert (health.state, health.cause) == (OPEN, "ratio")


def test_what_was_longer_ago_than_the_window_does_not_count() -> None:
    health = machine(HealthSettings(failures=1000))

    for now in range(0, 200, 11):
        for _ in range(10):
            health.failed(float(now))

    assert health.state is CLOSED


def test_nothing_is_sent_while_it_rests_and_one_trial_after() -> None:
    health = opened()

    assert not health.claim(4.9)
    assert health.claim(5.0)
    assert health.state is HALF_OPEN
    assert not health.claim(5.0)
    assert not health.admits(5.0, no_jitter)


def test_as_many_trials_as_are_configured_go_at_a_time() -> None:
    health = opened(HealthSettings(trials=3))

    assert [health.claim(5.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_trial_that_fails_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    health = opened()

    rests = []
    for _ in range(6):
        now = health.until
        assert health.claim(now)
        health.failed(now)
        rests.append(health.until - now)

    assert rests == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert health.cause == "trial"


def test_chance_shortens_a_rest_by_a_fifth_at_most() -> None:
    health = machine(random=never)

    for _ in range(5):
        health.failed(0.0)

    assert health.until == pytest.approx(5.0 * (1 - JITTER))


def test_after_a_good_trial_its_share_climbs_to_the_whole() -> None:
    health = climbing()

    assert health.state is CLIMBING
    assert [health.share(5.0 + passed) for passed in (0, 5, 9)] == pytest.approx([FIRST_SHARE, 0.55, 0.91])
    assert health.admits(5.0, lambda: 0.09)
    assert not health.admits(5.0, lambda: 0.11)
    assert health.admits(15.0, never)
    assert health.state is CLOSED


def test_without_a_climb_it_is_closed_at_once() -> None:
    health = opened(HealthSettings(climb=0.0))
    health.claim(5.0)
    health.succeeded(5.0)

    assert health.share(5.0) == 1.0
    assert health.admits(5.0, never)


def test_it_opens_again_while_it_climbs_as_when_closed() -> None:
    health = climbing()

    for _ in range(5):
        health.failed(6.0)

    assert (health.state, health.until) == (OPEN, 16.0)


def test_a_rest_is_short_again_after_lasting_health_only() -> None:
    health = climbing()
    health.advance(15.0)
    for _ in range(5):
        health.failed(70.0)
    assert health.until == 80.0

    health = climbing()
    health.advance(15.0)
    for _ in range(5):
        health.failed(75.0)
    assert health.until == 80.0


def test_a_rate_limit_parks_it_and_the_next_one_extends() -> None:
    health = machine()

    health.park(0.0, 10.0, "rate_limit")
    health.park(1.0, 5.0, "rate_limit")
    assert health.until == 10.0
    health.park(5.0, 10.0, "rate_limit")

    assert (health.state, health.until, health.cause, health.parked) == (OPEN, 15.0, "rate_limit", True)
    assert not health.claim(14.9)
    assert health.claim(15.0)


def test_a_park_is_capped() -> None:
    health = machine()

    health.park(0.0, 86_400.0, "rate_limit")

    assert health.until == 600.0


def test_a_spent_quota_parks_longer_each_time() -> None:
    health = machine()

    parks = []
    for _ in range(5):
        now = health.until
        health.shut(now, "quota")
        health.shut(now, "quota")
        parks.append(health.until - now)
        assert health.claim(health.until)

    assert parks == [60.0, 120.0, 240.0, 480.0, 600.0]


def test_a_rate_limit_without_a_time_rests_longer_each_time_and_the_next_one_extends() -> None:
    health = machine()

    health.limit(0.0)
    health.limit(2.0)
    assert (health.until, health.cause) == (7.0, "rate_limit")
    assert health.claim(7.0)
    health.limit(7.0)

    assert health.until == 17.0


def test_a_park_while_it_rests_never_shortens_the_rest() -> None:
    health = opened()

    health.park(0.0, 1.0, "rate_limit")
    assert (health.until, health.parked) == (5.0, False)
    health.shut(0.0, "quota")

    assert (health.until, health.parked, health.cause) == (120.0, True, "quota")


def test_where_nothing_else_is_left_a_trial_goes_there_after_the_first_rest_already() -> None:
    health = opened()
    for _ in range(3):
        health.claim(health.until)
        health.failed(health.since)
    assert health.until - health.since == 40.0

    now = health.since
    assert (health.wait(now), health.wait(now, hurried=True)) == (40.0, 5.0)
    assert not health.hurry(now + 4.9)
    assert health.hurry(now + 5.0)
    assert health.claim(now + 5.0)
    assert not health.hurry(now + 5.0)


def test_nobody_hurries_what_asked_for_its_rest() -> None:
    health = machine()
    health.park(0.0, 30.0, "rate_limit")

    assert not health.hurry(29.0)
    assert health.wait(10.0, hurried=True) == 20.0


def test_what_began_before_it_opened_is_no_news() -> None:
    health = opened(now=1.0)

    health.succeeded(2.0, started=0.5)
    assert health.state is OPEN
    assert health.claim(6.0)
    health.succeeded(6.5, started=0.5)
    health.failed(6.5, started=0.5)
    assert health.state is HALF_OPEN
    health.ended(6.5, started=0.5)
    assert not health.claim(6.5)
    health.succeeded(6.6, started=6.0)

    assert health.state is CLIMBING


def test_a_trial_whose_caller_left_frees_its_place() -> None:
    health = opened()

    assert health.claim(5.0)
    health.ended(5.5, started=5.0)

    assert health.claim(5.5)


def test_a_trial_of_which_nothing_is_heard_does_not_keep_it_half_open_for_ever() -> None:
    health = opened()

    assert health.claim(5.0)
    assert health.wait(5.0) == TRIAL
    assert not health.claim(34.9)
    assert health.wait(34.9) == pytest.approx(0.1)
    assert health.claim(35.0)


def test_the_wait_is_the_rest_that_is_left() -> None:
    health = opened()

    assert (machine().wait(0.0), health.wait(2.0), health.wait(5.0)) == (0.0, 3.0, 0.0)


def test_a_rumour_lets_trials_decide_but_blocks_nobody_who_has_no_other_place() -> None:
    health = machine()
    health.doubt(1.0)

    assert health.admits(1.0, no_jitter)
    assert health.claim(1.0)
    assert not health.admits(1.0, no_jitter)
    assert health.usable(1.0)
    assert health.claim(1.0)


def test_a_rumour_is_denied_by_one_answer_and_confirmed_by_one_failure() -> None:
    denied, confirmed = machine(), machine()
    for health in (denied, confirmed):
        health.doubt(1.0)
    denied.succeeded(2.0)
    confirmed.failed(2.0)

    assert (denied.state, denied.share(2.0)) == (CLOSED, 1.0)
    assert (confirmed.state, confirmed.until) == (OPEN, 7.0)


def test_a_rumour_changes_nothing_where_it_is_known_already() -> None:
    health = opened()
    health.doubt(1.0)

    assert (health.state, health.until) == (OPEN, 5.0)


def test_others_who_see_it_well_end_its_rest_but_not_what_it_asked_for_itself() -> None:
    resting, parked = opened(), machine()
    parked.park(0.0, 10.0, "rate_limit")
    for health in (resting, parked):
        health.relieve(1.0)

    assert resting.state is HALF_OPEN
    assert (parked.state, parked.until) == (OPEN, 10.0)


def test_probes_that_fail_hold_it_back_from_all_who_have_another_place() -> None:
    health = machine()
    health.hold(1.0, 20.0)

    assert (health.state, health.cause, health.until) == (OPEN, "probe", 21.0)
    assert not health.admits(2.0, no_jitter)
    assert health.usable(2.0)
    assert health.wait(2.0) == 0.0
    health.hold(11.0, 20.0)
    health.succeeded(12.0)
    assert (health.state, health.until) == (OPEN, 31.0)


def test_probes_that_go_well_again_let_a_trial_through() -> None:
    health = machine()
    health.hold(1.0, 20.0)
    health.relieve(5.0)

    assert health.claim(5.0)
    assert not health.claim(5.0)
    health.succeeded(5.1, started=5.0)
    assert health.state is CLIMBING


def test_nobody_is_held_back_when_the_probes_end() -> None:
    health = machine()
    health.hold(1.0, 20.0)

    assert health.admits(21.0, no_jitter)


def test_probes_that_fail_make_no_rest_longer_that_failures_began() -> None:
    health = opened()
    health.hold(1.0, 20.0)
    assert (health.until, health.cause) == (5.0, "failures")
    health.hold(6.0, 20.0)

    assert (health.until, health.cause) == (26.0, "probe")


def test_an_outlier_rests() -> None:
    health = machine()
    health.eject(1.0)
    health.eject(2.0)

    assert (health.state, health.cause, health.until) == (OPEN, "outlier", 6.0)


def test_each_change_is_told_once_with_its_cause() -> None:
    told: list[tuple[str, str, str]] = []
    health = machine()
    health.changed = lambda moved, before, cause: told.append((before.word, moved.state.word, cause))

    for _ in range(9):
        health.failed(0.0)
    health.claim(5.0)
    health.succeeded(5.0)
    health.advance(15.0)
    health.advance(16.0)

    assert told == [
        ("closed", "open", "failures"),
        ("open", "half_open", "rested"),
        ("half_open", "climbing", "answered"),
        ("climbing", "closed", "climbed"),
    ]


def test_other_settings_hold_from_now_on() -> None:
    health = machine()
    health.failed(0.0)
    health.obey(HealthSettings(failures=2))
    health.failed(0.0)

    assert health.state is OPEN


def test_another_window_counts_anew() -> None:
    health = machine()
    health.failed(0.0)
    health.obey(HealthSettings(window=5.0))

    assert health.recent.total == 0


class Machine(RuleBasedStateMachine):
    """Anything may happen to it at any time; what holds always holds."""

    @initialize(seed=st.integers(0, 2**32), trials=st.integers(1, 3))
    def start(self, seed: int, trials: int) -> None:
        self.settings = HealthSettings(trials=trials)
        self.twins = [Health(self.settings, Random(seed).random) for _ in range(2)]
        self.health = self.twins[0]
        self.now = 0.0
        self.flying: list[tuple[float, int]] = []
        self.changes = 0
        self.health.changed = self.changed
        self.climbed = (0.0, 0.0)

    def changed(self, *_: object) -> None:
        self.changes += 1

    def both(self, act: Callable[[Health], object]) -> object:
        """Do the same to two machines of one seed."""
        found = [act(health) for health in self.twins]
        assert found[0] == found[1]
        return found[0]

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.5, 3.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_request_is_sent(self) -> None:
        if self.both(lambda health: health.claim(self.now)):
            self.flying.append((self.now, self.changes))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "failed", "failed", "failed", "ended"]))
    def one_ends(self, data: st.DataObject, how: str) -> None:
        started, _ = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.both(lambda health: getattr(health, how)(self.now, started))

    @rule(seconds=st.none() | st.floats(0.0, 1000.0), key=st.booleans())
    def it_is_parked(self, seconds: float | None, key: bool) -> None:
        before = self.health.until if self.health.state is OPEN else 0.0
        if seconds is not None:
            self.both(lambda health: health.park(self.now, seconds, "rate_limit"))
        elif key:
            self.both(lambda health: health.shut(self.now, "quota"))
        else:
            self.both(lambda health: health.limit(self.now))
        assert self.health.until >= before

    @rule()
    def nothing_else_is_left(self) -> None:
        self.both(lambda health: health.hurry(self.now))

    @rule(seconds=st.sampled_from([1.0, 25.0]))
    def a_probe_fails(self, seconds: float) -> None:
        self.both(lambda health: health.hold(self.now, seconds))

    @rule(what=st.sampled_from(["doubt", "relieve", "eject"]))
    def others_speak(self, what: str) -> None:
        self.both(lambda health: getattr(health, what)(self.now))

    @invariant()
    def it_never_rests_longer_than_the_longest(self) -> None:
        self.both(lambda health: health.advance(self.now))
        assert self.both(lambda health: (health.state, health.since, health.until))
        if self.health.state is OPEN:
            assert self.now < self.health.until <= self.now + self.settings.longest_park

    @invariant()
    def it_is_never_stuck(self) -> None:
        # Whatever happened, and if nothing were heard of any request that flies: one may be sent before long.
        wait = self.health.wait(self.now)
        assert wait <= self.settings.longest_park
        assert (wait == 0.0) == self.health.usable(self.now)

    @invariant()
    def no_more_trials_than_allowed_fly(self) -> None:
        if self.health.state is HALF_OPEN and not self.health.soft:
            oldest = self.now - self.settings.trial_timeout
            trials = [at for at, changes in self.flying if changes == self.changes and at > oldest]
            assert len(trials) <= self.settings.trials

    @invariant()
    def its_share_never_falls_while_it_climbs(self) -> None:
        since, share = self.climbed
        if self.health.state is CLIMBING:
            mine = self.health.share(self.now)
            assert FIRST_SHARE <= mine <= 1.0
            assert mine >= share or since != self.health.since
            self.climbed = (self.health.since, mine)


TestMachine = Machine.TestCase
