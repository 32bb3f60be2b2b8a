"""Pools whose places fall ill and come back, by a clock that only this test moves."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from llmproxy.plugin import Attempt, Clock, Endpoint, Failure, Place, Pool
from llmproxy.pools import place_of
from llmproxy.poolsettings import TargetConfig
from llmproxy.testing import make_exchange
from llmproxy_balance.health import State
from llmproxy_balance.healthsettings import HealthSettings, OutlierSettings
from llmproxy_balance.roll import Record
from llmproxy_balance.verdicts import AGAINST, ANSWERED
from llmproxy_balance.wellbeing import Wellbeing

REFUSED = Failure("connect", None, None, sent=False, phase="connect")


class Hands(Clock):
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.now = lambda: self.time  # type: ignore[method-assign,assignment]


class Ward:
    """Some pools and what is known of their places."""

    def __init__(self, settings: HealthSettings | None = None) -> None:
        self.clock = Hands()
        self.changes: list[tuple[str, str, str, str]] = []
        self.wellbeing = Wellbeing(settings or HealthSettings(), self.clock, Random(1).random, self.changed)

    def changed(self, record: Record, before: State, cause: str) -> None:
        self.changes.append((record.endpoint.upstream, before.word, record.health.state.word, cause))

    def fail(self, name: str, failure: Failure = REFUSED, times: int = 5) -> None:
        for _ in range(times):
            self.wellbeing.note(Endpoint(name), failure, None, self.clock.time)

    def answer(self, name: str, latency: float = 0.1, times: int = 1) -> None:
        for _ in range(times):
            self.wellbeing.note(Endpoint(name), None, latency, self.clock.time)

    def names(self, pool: Pool) -> str:
        return names(self.wellbeing.eligible(pool))


def names(places: Sequence[Place]) -> str:
    return "".join(place.name for place in places)


def pool_of(*names: str, name: str = "p") -> Pool:
    return Pool.of(name, [place_of(TargetConfig(upstream=each)) for each in names])


def outer(*pools: Pool, name: str = "outer") -> Pool:
    return Pool.of(name, [Place(each.name, TargetConfig(pool=each.name), pool=each) for each in pools])


def test_while_all_are_well_a_pool_is_what_it_is() -> None:
    ward, pool = Ward(), pool_of("a", "b")

    assert ward.wellbeing.eligible(pool) is pool.places
    ward.fail("a", times=4)
    assert ward.wellbeing.eligible(pool) is pool.places
    assert ward.wellbeing.until(pool) is None
    assert ward.wellbeing.claim(Endpoint("a"))


def test_a_place_that_fails_is_left_out_until_it_has_rested() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")

    assert ward.names(pool) == "b"
    assert not ward.wellbeing.claim(Endpoint("a"))
    ward.clock.time += 5.0
    assert ward.names(pool) == "ab"
    assert ward.wellbeing.claim(Endpoint("a"))
    assert ward.names(pool) == "b"
    assert not ward.wellbeing.claim(Endpoint("a"))


def test_a_pool_without_any_place_says_when_the_first_one_comes_back() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a", Failure("rate_limit", 429, 30.0))
    assert ward.wellbeing.until(pool) is None
    ward.fail("b", Failure("overloaded", 503, 10.0))

    assert ward.names(pool) == ""
    assert list(ward.wellbeing.spare(pool)) == []
    assert ward.wellbeing.until(pool) == 10.0


def test_a_pool_whose_places_all_rest_for_long_lets_trials_through() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    inner = outer(pool)
    ward.names(inner)
    for _ in range(4):
        for name in "ab":
            ward.wellbeing.claim(Endpoint(name))
            ward.fail(name)
        ward.clock.time += max(
            record.health.wait(ward.clock.time) for record in ward.wellbeing.roll.records.values()
        )
    for name in "ab":
        ward.wellbeing.claim(Endpoint(name))
        ward.fail(name)

    assert ward.wellbeing.roll.records[Endpoint("a")].health.wait(ward.clock.time) > 30.0
    assert ward.wellbeing.until(inner) == 5.0
    assert list(ward.wellbeing.eligible(inner)) == []
    ward.clock.time += 5.0
    assert ward.wellbeing.until(inner) in {None, 0.0}
    assert names(ward.wellbeing.eligible(inner)) == "p"
    assert ward.names(pool) == "a"
    assert ward.wellbeing.claim(Endpoint("a"))
    assert ward.names(pool) == "b"


def test_its_share_climbs_after_a_good_trial() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0
    assert ward.wellbeing.claim(Endpoint("a"))
    ward.answer("a")

    shares = []
    for _ in range(4):
        shares.append(sum(ward.names(pool) == "ab" for _ in range(200)) / 200)
        ward.clock.time += 3.0

    assert shares[0] < 0.2 < shares[1] < 0.5 < shares[2] < 0.75 < shares[3] < 1
    ward.clock.time += 1.0
    assert ward.wellbeing.eligible(pool) is pool.places
    assert not ward.wellbeing.roll.ailing


def test_a_place_that_climbs_serves_all_where_there_is_no_other() -> None:
    ward, pool = Ward(), pool_of("a")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0
    ward.wellbeing.claim(Endpoint("a"))
    ward.answer("a")

    assert {ward.names(pool) for _ in range(50)} == {"a"}


def test_places_held_back_are_spare_ones() -> None:
    ward, pool = Ward(), pool_of("a", "b", "c")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0
    ward.wellbeing.claim(Endpoint("a"))
    ward.answer("a")
    ward.fail("b")

    assert names(ward.wellbeing.spare(pool)) == "ac"


def test_who_waits_for_failures_keeps_nobody_from_trying_those_that_rest() -> None:
    targets = [TargetConfig(upstream="a"), TargetConfig(upstream="b", after=("window",))]
    ward, pool = Ward(), Pool.of("p", map(place_of, targets))
    ward.names(pool)
    ward.fail("a")
    assert ward.names(pool) == "b"
    assert 3.0 < (ward.wellbeing.until(pool) or 0.0) <= 5.0

    ward.clock.time += 5.0
    assert ward.names(pool) == "ab"
    ward.wellbeing.claim(Endpoint("a"))
    ward.fail("a")
    ward.clock.time += 5.0

    assert ward.names(pool) == "ab", "the second rest is longer, but nobody else answers"


def test_a_trial_that_is_not_made_leaves_its_place_to_another() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0

    assert ward.wellbeing.claim(Endpoint("a"))
    assert not ward.wellbeing.claim(Endpoint("a"))
    ward.wellbeing.unclaim(Endpoint("a"))
    ward.wellbeing.unclaim(Endpoint("b"))
    assert ward.wellbeing.claim(Endpoint("a"))


def test_the_last_ones_to_try_are_all_that_have_rested_once() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")
    assert names(ward.wellbeing.last(pool)) == "b"

    ward.clock.time += 5.0
    assert names(ward.wellbeing.last(pool)) == "ab"


def test_a_pool_within_a_pool_is_eligible_while_one_of_its_places_is() -> None:
    ward, inner, other = Ward(), pool_of("a", "b", name="inner"), pool_of("c", name="other")
    pool = outer(inner, other)
    assert ward.wellbeing.eligible(pool) is pool.places

    ward.fail("a")
    assert names(ward.wellbeing.eligible(pool)) == "innerother"
    ward.fail("b")
    assert names(ward.wellbeing.eligible(pool)) == "other"
    assert ward.wellbeing.until(pool) is None
    ward.fail("c")
    assert ward.wellbeing.until(pool) == pytest.approx(5.0, rel=0.2)


def test_one_endpoint_has_one_machine_and_one_set_of_vitals_in_all_pools() -> None:
    ward, first, second = Ward(), pool_of("a", "b", name="first"), pool_of("a", "c", name="second")
    ward.names(first)
    ward.names(second)
    ward.fail("a")

    assert (ward.names(first), ward.names(second)) == ("b", "c")
    assert first.places[0].vitals is second.places[0].vitals


def test_models_of_one_upstream_are_judged_apart() -> None:
    ward = Ward()
    pool = Pool.of("p", [place_of(TargetConfig(upstream="a", model=model)) for model in ("x", "y")])
    ward.names(pool)
    for _ in range(5):
        ward.wellbeing.note(Endpoint("a", "x"), REFUSED, None, 100.0)

    assert ward.names(pool) == "a/y"


@pytest.mark.parametrize("kind", sorted(AGAINST))
def test_failures_of_the_endpoint_count(kind: str) -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a", Failure(kind))

    assert ward.names(pool) == "b"


@pytest.mark.parametrize("kind", [*sorted(ANSWERED), "busy"])
def test_failures_of_a_request_do_not(kind: str) -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a", Failure(kind, 400, 5.0), times=50)

    assert ward.wellbeing.eligible(pool) is pool.places


def test_who_refuses_a_request_is_well_enough_to_end_a_trial() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0
    ward.wellbeing.claim(Endpoint("a"))
    ward.fail("a", Failure("invalid_request", 400), times=1)

    assert ward.wellbeing.roll.records[Endpoint("a")].health.state is State.CLIMBING


def test_an_attempt_that_says_nothing_frees_its_trial() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.fail("a")
    ward.clock.time += 5.0
    ward.wellbeing.claim(Endpoint("a"))
    ward.wellbeing.note(Endpoint("a"), None, None, 105.0)

    assert ward.names(pool) == "ab"


def test_the_first_output_of_a_long_stream_ends_its_trial() -> None:
    ward, pool, exchange = Ward(), pool_of("a", "b"), make_exchange()
    ward.names(pool)
    ward.wellbeing.began(exchange)
    ward.fail("a")
    ward.clock.time += 5.0
    ward.wellbeing.claim(Endpoint("a"))
    exchange.attempts.append(Attempt(1, Endpoint("a"), 105.0, status=500))
    ward.wellbeing.began(exchange)
    assert ward.wellbeing.roll.records[Endpoint("a")].health.state is State.HALF_OPEN
    exchange.attempts.append(Attempt(2, Endpoint("a"), 105.0, status=200))
    ward.wellbeing.began(exchange)

    assert ward.wellbeing.roll.records[Endpoint("a")].health.state is State.CLIMBING


@pytest.mark.parametrize(
    ("failure", "until"),
    [
        (Failure("rate_limit", 429, 20.0), 20.0),
        (Failure("rate_limit", 429), 5.0),
        (Failure("quota", 429, 1.0), 60.0),
        (Failure("quota", 429, 300.0), 300.0),
        (Failure("authentication", 401), 60.0),
        (Failure("server", 503, 7.0), 7.0),
    ],
)
def test_one_refusal_of_the_key_or_of_the_rate_parks_it(failure: Failure, until: float) -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.wellbeing = Wellbeing(HealthSettings(), ward.clock, lambda: 0.0)
    ward.names(pool)
    ward.fail("a", failure, times=1)

    assert ward.names(pool) == "b"
    assert ward.wellbeing.roll.records[Endpoint("a")].health.wait(100.0) == until


def test_a_stream_has_the_latency_of_its_first_output_once_it_is_whole() -> None:
    ward, pool, exchange = Ward(), pool_of("a"), make_exchange()
    ward.names(pool)
    known = {"status": 200, "headers_at": 100.1, "first_output_at": 100.5, "ended": 103.0}
    ward.wellbeing.settle(exchange, Attempt(1, Endpoint("a"), 100.0, **known), None)
    assert pool.places[0].vitals.latency is None
    ward.wellbeing.answered(pool.places[0], Attempt(1, Endpoint("a"), 100.0, complete=True, **known))

    assert pool.places[0].vitals.latency == pytest.approx(0.5)


def test_a_good_answer_is_heard_of_at_its_place() -> None:
    ward, pool = Ward(), pool_of("a")
    ward.names(pool)
    known = {"status": 200, "headers_at": 100.1, "first_output_at": 100.5, "ended": 103.0, "complete": True}
    ward.wellbeing.answered(pool.places[0], Attempt(1, Endpoint("a"), 100.0, **known))

    assert pool.places[0].vitals.latency == pytest.approx(0.5)
    assert ward.wellbeing.roll.records[Endpoint("a")].health.recent.good == 1


def test_an_attempt_that_failed_is_heard_of_when_it_began() -> None:
    ward, pool, exchange = Ward(), pool_of("a", "b"), make_exchange()
    ward.names(pool)
    for number in range(5):
        ward.wellbeing.settle(exchange, Attempt(number, Endpoint("a"), 90.0, ended=95.0), REFUSED)

    assert ward.wellbeing.roll.records[Endpoint("a")].health.since == 95.0


def test_latency_is_an_average_that_moves() -> None:
    ward, pool = Ward(), pool_of("a")
    ward.names(pool)
    ward.answer("a", 1.0)
    ward.answer("a", 2.0)

    assert pool.places[0].vitals.latency == pytest.approx(1.2)


def test_a_latency_that_nothing_renews_is_forgotten_bit_by_bit() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    ward.names(pool)
    ward.answer("a", 10.0)
    ward.answer("b", 1.0)
    a, b = (place.vitals for place in pool.places)

    for _ in range(11):
        ward.answer("b", 1.0)
        b.latency = 1.0 + ward.clock.time / 1e6  # each answer takes a little longer
        ward.clock.time += 1.0
        ward.wellbeing.age()
    assert a.latency == pytest.approx(5.0)
    assert b.latency == pytest.approx(1.0, abs=0.01)
    b.in_flight = 1
    for _ in range(300):
        ward.wellbeing.age()

    assert (a.latency, b.latency) == (None, pytest.approx(1.0, abs=0.01))


def test_who_does_worse_than_the_others_of_its_pool_is_taken_out_but_only_half_of_them() -> None:
    ward, pool = Ward(HealthSettings(outliers=OutlierSettings())), pool_of("a", "b", "c", "d")
    ward.names(pool)
    for _ in range(30):
        for name in "abcd":
            ward.answer(name, times=2)
        for name in "abc":
            ward.fail(name, times=1)
            ward.answer(name)
        ward.clock.time += 0.1
    assert ward.names(pool) == "abcd"

    for _ in range(60):
        for name in "bcd":
            ward.answer(name, times=3)
        ward.fail("a", times=1)
        ward.answer("a")
        ward.clock.time += 0.1

    assert ward.names(pool) == "bcd"
    assert ward.changes == [("a", "closed", "open", "outlier")]


def test_without_outlier_settings_nobody_is_compared() -> None:
    ward, pool = Ward(HealthSettings(outliers=None)), pool_of("a", "b")
    ward.names(pool)
    for _ in range(100):
        ward.answer("b", times=3)
        ward.answer("a", times=2)
        ward.fail("a", times=1)

    assert ward.names(pool) == "ab"


def test_a_member_that_left_is_remembered_for_when_it_comes_back() -> None:
    ward, pool = Ward(), pool_of("a", "b")
    a, b = pool.places
    ward.names(pool)
    ward.fail("a")

    pool.places = (b,)
    assert ward.wellbeing.eligible(pool) is pool.places
    assert (list(ward.wellbeing.roll.records), ward.wellbeing.roll.ailing) == ([Endpoint("b")], {})
    pool.places = (a, b)
    assert ward.names(pool) == "b"


def test_those_that_left_are_forgotten_in_the_end() -> None:
    ward, pool = Ward(), pool_of("a")
    for number in range(600):
        pool.places = (place_of(TargetConfig(upstream=str(number))),)
        ward.names(pool)

    assert len(ward.wellbeing.roll.records) == 1
    assert len(ward.wellbeing.roll.gone) == 256


def test_pools_that_a_reload_left_out_are_forgotten() -> None:
    ward, first, second = Ward(), pool_of("a", "b", name="first"), pool_of("a", "c", name="second")
    ward.names(first)
    ward.names(second)

    ward.wellbeing.roll.keep(["second"])

    assert {endpoint.upstream for endpoint in ward.wellbeing.roll.records} == {"a", "c"}
    assert list(ward.wellbeing.roll.pools) == ["second"]


def test_a_reloaded_pool_of_the_same_name_keeps_what_is_known() -> None:
    ward, before, after = Ward(), pool_of("a", "b"), pool_of("a", "c")
    ward.names(before)
    ward.fail("a")
    ward.wellbeing.obey(HealthSettings(failures=1))

    assert ward.names(after) == "c"
    assert before.places[0].vitals is after.places[0].vitals
    ward.fail("c", times=1)
    assert ward.names(after) == ""


def test_nothing_is_kept_of_endpoints_that_are_in_no_pool() -> None:
    ward = Ward()
    ward.fail("somebody")

    assert not ward.wellbeing.roll.records


def test_changes_are_told_with_the_name_that_the_configuration_has() -> None:
    ward, pool = Ward(), pool_of("a")
    ward.names(pool)
    ward.fail("a")

    assert ward.changes == [("a", "closed", "open", "failures")]


def test_the_same_seed_makes_the_same_choices() -> None:
    def run() -> list[str]:
        ward, pool = Ward(), pool_of("a", "b", "c")
        ward.names(pool)
        chosen = []
        for step in range(400):
            ward.clock.time += 0.1
            places = ward.wellbeing.eligible(pool)
            chosen.append(names(places))
            for place in places:
                if place.endpoint is not None and ward.wellbeing.claim(place.endpoint):
                    if place.name == "a" and step < 50:
                        ward.fail("a", times=1)
                    else:
                        ward.answer(place.name)
        return chosen

    first = run()
    assert first == run()
    assert set(first) == {"abc", "bc"}
