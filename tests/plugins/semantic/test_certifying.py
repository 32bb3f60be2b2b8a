"""Bounds of shares, against what is known of them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.certifying import exceeds, holds, lower, upper


@pytest.mark.parametrize(
    ("counted", "of", "low", "high"),
    [
        # tables of the binomial's exact intervals, 95 % two-sided
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (1, 100, 0.0003, 0.0545),
        (50, 100, 0.3983, 0.6017),
        (0, 3061, 0.0, 0.0012),
        (1, 3061, 0.0, 0.0018),
    ],
)
def test_intervals_are_those_of_the_tables(counted: int, of: int, low: float, high: float) -> None:
    assert lower(counted, of) == pytest.approx(low, abs=5e-5)
    assert upper(counted, of) == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("of", "bound"), [(299, 0.01), (598, 0.005), (1497, 0.002), (2995, 0.001)])
def test_so_many_without_an_error_promise_so_much(of: int, bound: float) -> None:
    assert upper(0, of, risk=0.05) <= bound < upper(0, of - 2, risk=0.05)


@given(st.integers(1, 4000), st.data())
def test_bounds_enclose_the_share_and_a_tail_of_the_binomial_has_the_risk(
    of: int, data: st.DataObject
) -> None:
    counted = data.draw(st.integers(0, of))
    low, high = lower(counted, of), upper(counted, of)

    assert 0.0 <= low <= counted / of <= high <= 1.0
    if 0 < counted < of <= 300:
        assert tail(counted, of, low) == pytest.approx(0.025, abs=1e-6)


def tail(counted: int, of: int, share: float) -> float:
    """The chance of so many or more."""
    return sum(math.comb(of, n) * share**n * (1 - share) ** (of - n) for n in range(counted, of + 1))


def test_a_true_share_is_seldom_beyond_its_bound() -> None:
    rng = random.Random(3)
    beyond = sum(upper(sum(rng.random() < 0.02 for _ in range(400)), 400) < 0.02 for _ in range(400))

    assert beyond <= 0.025 * 400 + 8


@pytest.mark.parametrize(("counted", "of"), [(-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(counted: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        upper(counted, of)


def test_of_nothing_nothing_is_known() -> None:
    assert (lower(0, 0), upper(0, 0)) == (0.0, 1.0)


@given(st.integers(1, 4000), st.data(), st.floats(0.001, 0.2), st.sampled_from([0.002, 0.025, 0.05]))
def test_a_share_is_told_to_be_above_or_below_the_bounds_as_they_are(
    of: int, data: st.DataObject, share: float, risk: float
) -> None:
    counted = data.draw(st.integers(0, min(of, 300)))
    low, high = lower(counted, of, risk), upper(counted, of, risk)

    assert abs(high - share) < 1e-9 or holds(counted, of, share, risk) == (high <= share)
    assert abs(low - share) < 1e-9 or exceeds(counted, of, share, risk) == (low > share)
