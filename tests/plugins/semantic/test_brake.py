"""When answers by likeness are stopped."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from llmproxy_semantic.brake import LEAST_REPORTS, SPANS, Brake, Reports, stop_at
from llmproxy_semantic.certifying import lower


@pytest.mark.parametrize("limit", [0.01, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("span", SPANS)
def test_it_stops_at_the_first_count_whose_lower_bound_is_above_the_limit(limit: float, span: int) -> None:
    wrong = stop_at(span, limit, 0.002)

    assert lower(wrong, span, 0.002) > limit
    assert lower(wrong - 1, span, 0.002) <= limit


def test_what_is_right_never_stops_anything() -> None:
    brake = Brake(0.01)

    assert not any(brake.pulled(wrong=False) for _ in range(1000))


def test_nothing_but_wrong_ones_stop_it_at_once() -> None:
    brake = Brake(0.05)
    first = next(number for number in count(1) if brake.pulled(wrong=True))

    assert first <= 8


@pytest.mark.parametrize("limit", [0.01, 0.02, 0.05])
def test_five_times_the_limit_is_stopped_within_three_hundred_of_nearly_every_run(limit: float) -> None:
    assert sum(_runs(seed, limit, 5 * limit) for seed in range(50)) >= 48


def test_half_of_the_limit_is_seldom_stopped_in_three_thousand() -> None:
    assert sum(_runs(seed, 0.02, 0.01, most=3000) for seed in range(20)) <= 2


def _runs(seed: int, limit: float, share: float, most: int = 300) -> bool:
    brake, random = Brake(limit), Random(seed)
    return any(brake.pulled(wrong=random.random() < share) for _ in range(most))


def test_what_was_long_ago_is_not_counted() -> None:
    brake = Brake(0.05)
    for _ in range(3):
        brake.pulled(wrong=True)
    for _ in range(SPANS[-1]):
        brake.pulled(wrong=False)

    assert not brake.pulled(wrong=True)


def test_it_begins_anew_when_released() -> None:
    brake = Brake(0.05)
    while not brake.pulled(wrong=True):
        pass
    before = brake.stands
    brake.release()

    assert (before, brake.stands) == (True, False)


def test_reports_that_double_what_was_judged_wrong_stop_it() -> None:
    reports = Reports(window=3000)
    told = [reports.pulled(sample, wrong=5) for sample in range(5)]

    assert told == [False] * 4 + [True]


def test_a_lone_report_stops_nothing_though_nothing_was_judged_wrong() -> None:
    reports = Reports(window=3000)
    told = [reports.pulled(1, wrong=0) for _ in range(LEAST_REPORTS)]

    assert told == [False] * (LEAST_REPORTS - 1) + [True]


def test_reports_older_than_the_window_are_forgotten() -> None:
    reports = Reports(window=100)
    reports.pulled(1, wrong=9)
    reports.pulled(50, wrong=9)
    reports.forget(120)

    assert len(reports) == 1
