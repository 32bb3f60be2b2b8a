from __future__ import annotations

import pytest

from llmproxy_balance.healthsettings import OutlierSettings
from llmproxy_balance.outliers import may_leave, stands_out
from llmproxy_balance.recent import Recent

SETTINGS = OutlierSettings()


def outcomes(good: int, bad: int) -> Recent:
    recent = Recent(10.0)
    for _ in range(good):
        recent.count_good(1.0)
    for _ in range(bad):
        recent.count_bad(1.0)
    return recent


WELL = outcomes(100, 1)


@pytest.mark.parametrize(
    ("own", "others", "out"),
    [
        (outcomes(70, 30), [WELL, WELL], True),
        (outcomes(90, 10), [WELL, WELL], False),
        (outcomes(70, 30), [WELL], True),
        (outcomes(70, 30), [], False),
        (outcomes(70, 30), [outcomes(3, 0), outcomes(4, 0)], False),
        (outcomes(70, 30), [outcomes(65, 35), outcomes(75, 25)], False),
        (outcomes(7, 3), [WELL, WELL], False),
    ],
    ids=["worse", "hardly worse", "of two", "alone", "others that are idle", "all alike", "idle itself"],
)
def test_who_does_worse_than_the_median_by_the_margin_stands_out(
    own: Recent, others: list[Recent], out: bool
) -> None:
    assert stands_out(own, others, SETTINGS) is out


@pytest.mark.parametrize(
    ("gone", "places", "may"),
    [(0, 1, False), (0, 2, True), (1, 2, False), (0, 3, True), (1, 3, False), (1, 4, True), (2, 4, False)],
)
def test_half_of_the_places_may_leave_and_never_the_last(gone: int, places: int, may: bool) -> None:
    assert may_leave(gone, places, SETTINGS) is may


def test_even_where_all_may_leave_the_last_one_stays() -> None:
    assert not may_leave(1, 2, OutlierSettings(most=1.0))
