from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy_balance.recent import Recent


def test_outcomes_are_forgotten_step_by_step() -> None:
    recent = Recent(10.0)
    for now in range(10):
        recent.count_good(float(now))
    recent.count_bad(9.0)

    assert (recent.good, recent.bad, recent.total) == (10, 1, 11)
    recent.forget(12.0)
    assert (recent.good, recent.bad) == (7, 1)
    recent.forget(1e9)
    assert recent.total == 0


def test_a_clock_that_was_read_earlier_does_no_harm() -> None:
    recent = Recent(10.0)
    recent.count_good(20.0)
    recent.count_bad(19.0)
    recent.count_good(1.0)

    assert (recent.good, recent.bad) == (2, 1)


def test_all_is_forgotten_at_once() -> None:
    recent = Recent(10.0)
    recent.count_bad(1.0)
    recent.clear()
    recent.count_good(1.0)

    assert (recent.good, recent.bad) == (1, 0)


@given(st.lists(st.tuples(st.floats(0.0, 8.0), st.booleans()), max_size=60))
def test_what_is_remembered_is_what_the_last_ten_steps_brought(outcomes: list[tuple[float, bool]]) -> None:
    recent, now, heard = Recent(10.0), 0.0, []
    for later, good in outcomes:
        now += later
        (recent.count_good if good else recent.count_bad)(now)
        heard.append((int(now), good))
    known = [good for step, good in heard if step > int(now) - 10]

    assert (recent.good, recent.bad) == (known.count(True), known.count(False))
