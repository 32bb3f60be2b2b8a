from __future__ import annotations

from pathlib import Path

from llmproxy.stores.tallies import MOST, Tallies


def test_numbers_are_seen_by_whoever_has_the_file(tmp_path: Path) -> None:
    mine, other = Tallies(tmp_path / "tallies"), Tallies(tmp_path / "tallies")
    tally = mine.take(now=5)
    assert tally is not None
    tally.cells[tally.place(0)] = 7
    tally.cells[tally.place(MOST - 1)] = 2**63

    assert tally.held
    assert other.read(*tally.name) == [7, *[0] * (MOST - 2), 2**63]


def test_what_was_freed_is_nobodys(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path / "tallies")
    tally = tallies.take(now=5)
    assert tally is not None
    tallies.free(*tally.name)

    assert not tally.held
    assert tallies.read(*tally.name) is None
    assert tallies.read(-1, 5) is tallies.read(10**6, 5) is None


def test_a_file_that_was_cut_short_is_used_no_more(tmp_path: Path) -> None:
    path = tmp_path / "tallies"
    tallies = Tallies(path)
    with path.open("r+b") as file:
        file.truncate(0)

    assert tallies.read(3, 5) is None
    assert tallies.take(now=5) is None
