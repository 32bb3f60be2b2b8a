"""The retry budget: a part of what is in flight, and a few in any case."""

from hypothesis import given
from hypothesis import strategies as st

from llmproxy_balance.retrybudget import RetryBudget, RetryBudgetSettings


def taken(budget):
    """Take as many retries as there are."""
    count = 0
    while count < 10_000 and budget.take():
        count += 1
    return count


def test_a_few_retries_are_free():
    assert taken(RetryBudget(RetryBudgetSettings())) == 3


def test_retries_are_a_part_of_what_is_in_flight():
    budget = RetryBudget(RetryBudgetSettings(share=0.2, least=3))
    budget.active = 99

    assert taken(budget) == 20


def test_what_is_over_makes_room():
    budget = RetryBudget(RetryBudgetSettings(least=1))
    assert budget.take()
    assert not budget.take()
    budget.give_back()

    assert budget.take()


def test_there_may_be_none_at_all():
    assert taken(RetryBudget(RetryBudgetSettings(share=0, least=0))) == 0


@given(share=st.floats(0, 1), least=st.integers(0, 50), active=st.integers(0, 1000))
def test_no_more_is_given_than_the_settings_say(share, least, active):
    budget = RetryBudget(RetryBudgetSettings(share=share, least=least))
    budget.active = active

    assert taken(budget) <= max(least, share * (active + 1)) + 1
