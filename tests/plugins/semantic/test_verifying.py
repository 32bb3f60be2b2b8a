"""Thresholds that follow what was judged: each step of them, then whole streams."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from statistics import NormalDist, mean
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.certifying import upper
from llmproxy_semantic.doubting import DOUBTED
from llmproxy_semantic.tiers import STRICT
from llmproxy_semantic.verifying import (
    NEVER,
    NONE,
    OFFLINE,
    STEPS,
    TOP,
    Sample,
    Verification,
    Window,
    cuts_at,
    merit,
    most_wrong,
    step_of,
    threshold,
)


@given(st.floats(-1, 1.1))
def test_a_candidate_is_served_from_its_step_on_and_at_none_before(value: float) -> None:
    step = step_of(value)

    assert step == STEPS or value >= threshold(step) - 1e-9
    assert step == 0 or value < threshold(step - 1)


@given(st.integers(0, STEPS - 1), st.integers(0, 3))
def test_cuts_of_a_step_serve_what_the_step_serves(step: int, tier: int) -> None:
    cut = cuts_at(step)[tier]

    assert step_of(merit(cut, tier)) == step
    assert step_of(merit(cut - 1e-4, tier)) == step + 1


def test_the_offline_thresholds_are_one_step_of_the_walk() -> None:
    assert cuts_at(step_of(STRICT[0]))[:3] == pytest.approx(STRICT)


@given(st.integers(60, 3000), st.sampled_from([0.01, 0.02, 0.05]))
def test_as_many_may_be_wrong_as_the_bound_allows(of: int, delta: float) -> None:
    most = most_wrong(of, delta, 0.05)

    assert most < 0 or upper(most, of, 0.05) <= delta + 1e-9
    assert upper(most + 1, of, 0.05) > delta - 1e-9


@given(st.lists(st.tuples(st.integers(0, STEPS), st.booleans()), max_size=60), st.integers(0, 5))
def test_a_window_counts_its_last_samples_and_walks_as_far_as_they_allow(
    drawn: list[tuple[int, bool]], most: int
) -> None:
    samples = [Sample(step, wrong and step < STEPS) for step, wrong in drawn]
    window = Window(20)
    for sample in samples:
        window.add(sample)
    last = samples[-20:]
    walked = window.walked(most)

    assert len(window) == len(last)
    for step in (0, 50, STEPS - 1):
        hits = [sample for sample in last if sample.step <= step]
        assert window.served(step) == (len(hits), sum(sample.wrong for sample in hits))
    assert walked < 0 or window.served(walked)[1] <= most
    assert walked == STEPS - 1 or window.served(walked + 1)[1] > most


def policy(delta: float = 0.05, **more: float) -> Verification:
    return Verification(delta, Random(1), **more)  # type: ignore[arg-type]  # shares only


def feed(verification: Verification, samples: int, value: float = NONE, *, wrong: bool = False) -> list[str]:
    return [told for _ in range(samples) if (told := verification.judged(value, wrong=wrong))]


def test_the_offline_thresholds_stay_in_force_until_there_are_samples_enough() -> None:
    verification = policy(delta=0.01)
    feed(verification, 299, 0.8)

    assert (verification.state, verification.cuts) == ("strict", OFFLINE)
    assert feed(verification, 1, 0.8) != []
    assert verification.state == "verified"


def test_samples_that_are_all_right_open_every_threshold() -> None:
    verification = policy()
    feed(verification, 100, 0.6)

    assert verification.cuts[0] == pytest.approx(threshold(STEPS - 1))
    assert verification.told().certified


def test_thresholds_stay_above_what_is_often_wrong() -> None:
    verification = policy()
    for number in range(600):
        verification.judged(0.9 if number % 2 else 0.7, wrong=number % 2 == 0)

    assert 0.7 < verification.cuts[0] <= 0.9


def test_what_is_doubted_is_served_only_when_it_was_borne_out() -> None:
    verification = policy()
    before = verification.cuts[DOUBTED]
    for _ in range(300):
        verification.judged(0.8, DOUBTED)

    assert before > 1
    assert verification.cuts[DOUBTED] <= 0.8


def test_an_embedder_that_was_not_measured_serves_nothing_until_samples_are_there() -> None:
    verification = policy(offline=NEVER)  # type: ignore[arg-type]  # thresholds
    before = verification.cuts
    feed(verification, 100, 0.8)

    assert before == NEVER
    assert verification.cuts[0] <= 0.8


def test_what_is_told_offline_is_what_the_offline_thresholds_serve() -> None:
    verification = policy(delta=0.01)
    for tier, similarity in ((0, 0.96), (1, 0.96), (DOUBTED, 1.0)):
        verification.judged(similarity, tier, wrong=True)
    told = verification.told()

    assert (told.state, told.samples, told.hits, told.wrong) == ("strict", 3, 1, 1)


def test_requests_without_a_candidate_count_as_served_rightly_by_none() -> None:
    verification = policy()
    feed(verification, 100)
    told = verification.told()

    assert (told.samples, told.hits, told.wrong) == (100, 0, 0)


def test_the_brake_puts_the_offline_thresholds_back_and_says_so() -> None:
    verification = policy()
    feed(verification, 300, 0.8)
    told = feed(verification, 10, 0.8, wrong=True)

    assert told == ["more than delta is wrong: strict"]
    assert (verification.cuts, verification.brakes) == (OFFLINE, 1)
    assert verification.told().samples < 10


def test_the_brake_turns_likeness_off_where_the_offline_thresholds_are_wrong_too() -> None:
    verification = policy()
    feed(verification, 300, 0.97)
    told = feed(verification, 10, 0.97, wrong=True)

    assert told == ["more than delta is wrong: off"]
    assert verification.cuts == NEVER


def test_likeness_comes_back_when_new_samples_allow_it() -> None:
    verification = policy()
    feed(verification, 300, 0.995, wrong=True)
    before = verification.state
    feed(verification, 3200, 0.995)

    assert (before, verification.state) == ("off", "verified")


def test_a_limit_on_what_is_wrong_of_the_hits_pulls_the_brake_too() -> None:
    verification = policy(delta=0.2, hit_limit=0.05)
    feed(verification, 100, 0.8)
    told = []
    for number in range(90):
        served = number % 8 == 0
        told += feed(verification, 1, 0.8 if served else NONE, wrong=served)

    assert "too many hits are wrong: strict" in told


def test_reports_of_callers_pull_the_brake() -> None:
    verification = policy()
    feed(verification, 300, 0.8)
    told = [verification.reported() for _ in range(3)]

    assert told == ["", "", "callers report it: strict"]


def test_samples_that_are_left_out_too_often_certify_nothing() -> None:
    verification = policy()
    feed(verification, 100, 0.8)
    for _ in range(20):
        verification.left_out()
    told = feed(verification, 100, 0.8)

    assert told == ["judging fails: strict"]
    assert verification.cuts == OFFLINE


def test_the_coin_is_thrown_less_often_once_the_promise_is_kept() -> None:
    verification = policy(delta=0.05, coin=(0.5, 0.05))  # type: ignore[arg-type]  # two shares
    before = mean(verification.drawn() for _ in range(2000))
    feed(verification, 300, 0.8)
    after = mean(verification.drawn() for _ in range(2000))

    assert before == pytest.approx(0.5, abs=0.05)
    assert after == pytest.approx(0.05, abs=0.02)


def test_what_is_told_has_the_bound_and_the_share_of_the_hits() -> None:
    verification = policy()
    for number in range(400):
        verification.judged(0.9 if number % 2 else NONE, wrong=number % 100 == 1)
    told = verification.told()

    assert (told.samples, told.hits, told.wrong) == (400, 200, 4)
    assert told.bound == pytest.approx(upper(4, 400, 0.05))
    assert told.wrong_per_hit[0] == 0.02
    assert told.wrong_per_hit[1] < 0.02 < told.wrong_per_hit[2]
    assert told.bound <= told.delta


class Course(NamedTuple):
    """What came of a stream: shares of all requests; samples from the drift to the first brake after it."""

    hits: float
    wrong: float
    braked_after: int | None


#: Cosines of two questions of one class, of two neighbouring classes: they overlap widely, as MiniLM's do.
ALIKE = NormalDist(0.72, 0.12)
NEIGHBOURS = NormalDist(0.58, 0.10)


def stream(seed: int, delta: float, *, drift: bool, requests: int = 12_000, classes: int = 600) -> Course:
    """Run a stream of classes in random order through the policy; at half time each class splits in two."""
    random = Random(seed)
    verification = Verification(delta, random, coin=(0.1, 0.1))
    stored: defaultdict[tuple[int, int], int] = defaultdict(int)
    hits = wrong = judged_after = 0
    braked_after = None
    for number in range(requests):
        split = drift and number >= requests // 2
        kind, half = random.randrange(classes), random.randrange(2)
        nearest = [
            (best(random, ALIKE, stored[kind, half]), False),
            (best(random, ALIKE, stored[kind, 1 - half]), split),
            (best(random, NEIGHBOURS, stored[kind ^ 1, 0] + stored[kind ^ 1, 1]), True),
        ]
        similarity, is_wrong = max(nearest)
        if verification.drawn():
            brakes = verification.brakes
            verification.judged(similarity, wrong=is_wrong)
            judged_after += split
            if split and braked_after is None and verification.brakes > brakes:
                braked_after = judged_after
        elif similarity >= verification.cuts[0]:
            hits += 1
            wrong += is_wrong
            continue
        stored[kind, half] += 1
    return Course(hits / requests, wrong / requests, braked_after)


def best(random: Random, of: NormalDist, many: int) -> float:
    """Return the greatest of many draws by one: the distribution of the greatest is a power of theirs."""
    return min(of.inv_cdf(random.random() ** (1 / many)), 1.0) if many else NONE


@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_a_stream_keeps_the_promise_and_much_is_served(delta: float) -> None:
    course = stream(1, delta, drift=False)

    assert course.wrong <= delta
    assert course.hits > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_nine_streams_of_ten_keep_the_promise_and_looser_ones_serve_more(delta: float) -> None:
    courses = [stream(seed, delta, drift=False) for seed in range(10)]

    assert sum(course.wrong <= delta for course in courses) >= 9
    assert mean(course.hits for course in courses) >= {0.01: 0.10, 0.02: 0.25, 0.05: 0.40}[delta]


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_nine_streams_of_ten_keep_the_promise_though_classes_split_at_half_time(delta: float) -> None:
    courses = [stream(seed, delta, drift=True) for seed in range(10)]

    assert sum(course.wrong <= delta for course in courses) >= 9
    assert sum(course.braked_after is not None and course.braked_after <= 300 for course in courses) >= 9


def test_a_threshold_of_the_top_is_the_first() -> None:
    assert threshold(0) == TOP
