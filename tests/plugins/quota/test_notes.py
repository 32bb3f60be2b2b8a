"""Notes of claims: they outlive a process that is killed, and are found once."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import reserving
from llmproxy_quota.notes import NOWHERE, Notes, left_behind

AMOUNTS = st.integers(0, reserving.MOST - 1)
NAMES = st.binary(min_size=1, max_size=16)
LIMITS = st.one_of(
    st.tuples(NAMES, AMOUNTS, AMOUNTS, AMOUNTS).map(lambda fields: reserving.Rate(*fields)),
    st.tuples(NAMES, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(1, 60)).map(
        lambda fields: reserving.Window(*fields)
    ),
    st.tuples(NAMES, AMOUNTS).map(lambda fields: reserving.Lease(*fields)),
)
WANTS = st.builds(reserving.Want, LIMITS, AMOUNTS, st.sampled_from(["hard", "soft", "shadow"]))
CLAIMS = st.builds(
    reserving.Claim, NAMES, NAMES, st.lists(WANTS, max_size=5).map(tuple), AMOUNTS, st.booleans()
)
CLAIM = reserving.Claim(b"1", b"t", (reserving.Want(reserving.Lease(b"k", 3), 1),))


def die(directory: Path, *notes: tuple[reserving.Claim, list[int]], dropped: int = 0) -> None:
    """Have a process note so much, drop the last ones, and be killed."""
    pid = os.fork()
    if pid == 0:
        kept = Notes(directory, "quota")
        numbers = [kept.put(claim, came) for claim, came in notes]
        for number in numbers[len(numbers) - dropped :]:
            kept.drop(number)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


@given(claim=CLAIMS, came=st.lists(AMOUNTS, max_size=5))
def test_what_a_dead_worker_noted_is_found_as_it_was_noted(
    tmp_path_factory: pytest.TempPathFactory, claim: reserving.Claim, came: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("bus")
    notes = Notes(directory, "quota")
    notes.put(claim, came)
    notes.close(told=False)

    assert list(left_behind(directory, "quota")) == [(claim, came)]


def test_notes_outlive_a_worker_that_is_killed_and_are_found_once(tmp_path: Path) -> None:
    die(tmp_path, (CLAIM, [1]), (CLAIM, [2]), (CLAIM, [3]), dropped=1)
    found = [list(came) for _, came in left_behind(tmp_path, "quota")]

    assert sorted(found) == [[1], [2]]
    assert list(left_behind(tmp_path, "quota")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_living_workers_notes_are_its_own(tmp_path: Path) -> None:
    notes = Notes(tmp_path, "quota")
    notes.put(CLAIM, [1])

    assert list(left_behind(tmp_path, "quota")) == []
    notes.close(told=True)
    assert list(tmp_path.iterdir()) == []


def test_another_instances_notes_are_left_to_it(tmp_path: Path) -> None:
    die(tmp_path, (CLAIM, [1]))

    assert list(left_behind(tmp_path, "quot")) == []
    assert len(list(left_behind(tmp_path, "quota"))) == 1


def test_what_does_not_fit_is_not_noted(tmp_path: Path) -> None:
    notes = Notes(tmp_path, "quota")
    many = [notes.put(CLAIM, [1]) for _ in range(2000)]
    notes.drop(many[0])

    assert many.count(NOWHERE) == 2000 - 1024
    assert notes.put(CLAIM._replace(id=b"x" * 1000), [1]) == NOWHERE
    assert notes.put(CLAIM, [1]) == many[0]
    notes.drop(NOWHERE)
    notes.close(told=True)
    notes.drop(many[0])


def test_a_file_that_is_spoilt_is_nothing(tmp_path: Path) -> None:
    die(tmp_path, (CLAIM, [1]), (CLAIM, [2]))
    [file] = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[1023 * 1024 + 4] = 0xC1
    file.write_bytes(data)

    assert [came for _, came in left_behind(tmp_path, "quota")] == [[2]]
