import pytest

from llmproxy.orders import Built, Committed, Failed
from llmproxy.reload import Reload, Step


@pytest.fixture
def reload():
    return Reload(2, b"config", {100: 0, 101: 1}, deadline=60.0)


def test_all_swap_when_all_have_built(reload):
    steps = [reload.take(100, Built(2, ("note",))), reload.take(101, Built(2, ("note",)))]
    steps += [reload.take(101, Committed(2)), reload.take(100, Committed(2))]

    assert steps == [Step.WAIT, Step.COMMIT, Step.WAIT, Step.DONE]
    assert list(reload.notes) == ["note"]
    assert reload.reason == ""


def test_one_refusal_aborts(reload):
    assert reload.take(100, Built(2)) is Step.WAIT
    assert reload.take(101, Failed(2, "no such upstream")) is Step.ABORT
    assert reload.reason == "no such upstream"


def test_a_death_before_the_swap_aborts(reload):
    assert reload.lose(101) is Step.ABORT
    assert reload.reason == "worker 1 died while it built the new generation"


def test_a_death_during_the_swap_is_gone_on_without(reload):
    for pid in (100, 101):
        reload.take(pid, Built(2))

    assert reload.take(100, Committed(2)) is Step.WAIT
    assert reload.lose(101) is Step.DONE
    assert reload.reason == ""


def test_a_worker_that_does_not_build_in_time_aborts(reload):
    reload.take(100, Built(2))

    assert reload.expire() is Step.ABORT
    assert reload.reason == "worker 1 did not answer in time"


def test_a_worker_that_does_not_swap_in_time_is_told_in_the_notes(reload):
    for pid in (100, 101):
        reload.take(pid, Built(2))
    reload.take(101, Committed(2))

    assert reload.expire() is Step.DONE
    assert list(reload.notes) == ["worker 0 has not confirmed the swap yet"]


@pytest.mark.parametrize(("pid", "vote"), [(100, Built(1)), (100, Failed(1, "late")), (999, Built(2))])
def test_late_votes_and_strangers_do_not_count(reload, pid, vote):
    reload.take(101, Built(2))

    assert reload.take(pid, vote) is Step.WAIT
    assert reload.lose(999) is Step.WAIT


def test_a_vote_counts_once(reload):
    assert [reload.take(100, Built(2)) for _ in range(3)] == [Step.WAIT] * 3
    assert reload.take(101, Committed(2)) is Step.WAIT
