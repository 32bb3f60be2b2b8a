import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching import board as module
from llmproxy.caching.board import CELLS, Board, Cell, Verdict, cells_of, slot_of

A, B, C = slot_of("tag", "a"), slot_of("tag", "b"), slot_of("tag", "c")


def test_a_purge_reaches_what_was_asked_for_before_it_and_nothing_that_was_asked_for_after() -> None:
    board = Board()
    before = board.now()
    board.purge([A])
    after = board.now()

    assert board.judge(before, [B, A]) is Verdict.PURGED
    assert board.judge(before, [B]) is Verdict.GOOD
    assert board.judge(after, [A]) is Verdict.GOOD


def test_a_soft_purge_leaves_an_entry_stale_and_a_hard_one_takes_it_then() -> None:
    board = Board()
    before = board.now()
    board.purge([A], soft=True)

    assert board.judge(before, [A]) is Verdict.SOFT
    board.purge([A])
    assert board.judge(before, [A]) is Verdict.PURGED


def test_an_entry_of_another_board_counts_as_purged() -> None:
    assert Board().judge(Board().now(), [A]) is Verdict.PURGED


@given(st.lists(st.tuples(st.sampled_from("pls"), st.sampled_from([A, B, C])), max_size=30))
def test_the_board_says_what_a_list_of_all_purges_would(steps: list[tuple[str, int]]) -> None:
    board = Board()
    entries: list[tuple[object, int, int]] = []
    purges: list[tuple[int, bool]] = []
    for what, slot in steps:
        if what == "l":
            entries.append((board.now(), slot, len(purges)))
        else:
            board.purge([slot], soft=what == "s")
            purges.append((slot, what == "s"))

    for mark, slot, since in entries:
        later = [soft for purged, soft in purges[since:] if purged == slot]
        expected = Verdict.PURGED if False in later else Verdict.SOFT if later else Verdict.GOOD
        assert board.judge(mark, [slot]) is expected  # type: ignore[arg-type]


def test_the_parts_of_a_tag_cannot_run_into_each_other() -> None:
    assert len({slot_of("ab", "c"), slot_of("a", "bc"), slot_of("abc"), slot_of("a", "b", "c")}) == 4
    assert 0 <= slot_of("x") < 1 << 32


PURGES = """
import sys
from pathlib import Path
from llmproxy.caching.board import Board
board = Board(Path(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    board.purge([int(sys.argv[2])])
board.close()
"""


def purging(path: Path, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PURGES, str(path), str(A), str(count)])


def test_processes_see_each_others_purges_at_once_and_lose_none(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    before, start = board.now(), board.sequence
    workers = [purging(tmp_path / "board", 200) for _ in range(2)]
    assert [worker.wait(30) for worker in workers] == [0, 0]

    assert board.sequence == start + 400
    assert board.judge(before, [A]) is Verdict.PURGED
    board.close()


def test_a_board_in_a_file_outlives_its_processes(tmp_path: Path) -> None:
    first = Board(tmp_path / "board")
    kept, gone = first.now(), first.now()
    first.purge([A])
    first.close()
    second = Board(tmp_path / "board")

    assert second.judge(kept, [B]) is Verdict.GOOD
    assert second.judge(gone, [A]) is Verdict.PURGED
    second.close()


def test_a_board_that_the_host_lost_in_a_crash_judges_nothing_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = Board(tmp_path / "board")
    before = crashed.now()
    (tmp_path / "copy").write_bytes((tmp_path / "board").read_bytes())
    crashed.close()
    monkeypatch.setattr(module, "_boot", lambda: b"the next run of this host")
    after = Board(tmp_path / "copy")

    assert after.judge(before, [A]) is Verdict.PURGED
    after.close()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"LPboard2" + b"\0" * 4088])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "board").write_bytes(content)
    board = Board(tmp_path / "board")

    assert board.judge(board.now(), [A]) is Verdict.GOOD
    board.purge([A])
    board.close()


def test_a_board_that_is_in_use_is_not_marked_as_closed_by_one_that_leaves(tmp_path: Path) -> None:
    path = tmp_path / "board"
    stays = Board(path)
    assert purging(path, 1).wait(30) == 0

    assert b"closed" not in path.read_bytes()[:4096]
    stays.close()
    assert b"closed" in path.read_bytes()[:4096]


def test_a_board_shared_by_hosts_forgets_what_it_had_of_its_own() -> None:
    board = Board()
    own = board.now()
    board.purge([A])
    board.adopt(77)

    assert board.id == 77
    assert board.judge(own, [B]) is Verdict.PURGED
    assert board.judge(board.now(), [A]) is Verdict.GOOD


def test_a_purge_of_another_host_counts_by_the_number_that_it_has_there() -> None:
    board = Board()
    before = board.now()
    board.purge([A], sequence=before.sequence + 10)

    assert board.judge(before, [A]) is Verdict.PURGED
    assert board.now().sequence == before.sequence + 10


SLOT = st.integers(0, (1 << 32) - 1)


@given(SLOT, SLOT)
def test_a_slot_has_two_cells_and_another_slot_never_both(one: int, other: int) -> None:
    first, second = cells_of(one)

    assert first != second
    assert 0 <= min(first, second) <= max(first, second) < CELLS
    assert one == other or cells_of(other) != (first, second)


def test_tags_that_share_one_cell_are_not_purged_for_each_other() -> None:
    board = Board()
    neighbour = A ^ 1 << 31
    before = board.now()
    board.purge([A])

    assert cells_of(neighbour)[0] == cells_of(A)[0]
    assert board.judge(before, [neighbour]) is Verdict.GOOD


def test_a_soft_purge_after_a_hard_one_does_not_bring_an_entry_back() -> None:
    board = Board()
    before = board.now()
    board.purge([A])
    board.purge([A], soft=True)

    assert board.judge(before, [A]) is Verdict.PURGED


def test_a_purge_that_no_other_host_knows_covers_whatever_they_mark_meanwhile() -> None:
    board = Board()
    board.purge([A], alone=True)
    unknowing = board.now()
    board.purge([B], sequence=board.sequence + 1)

    assert board.judge(unknowing, [A]) is Verdict.PURGED
    assert board.judge(board.now(), [A]) is Verdict.PURGED
    board.purge([], sequence=board.latest + 1)
    assert board.judge(board.now(), [A]) is Verdict.GOOD


def test_what_the_hosts_share_is_learnt_and_takes_nothing_back() -> None:
    board, other = Board(), Board()
    board.adopt(7)
    other.adopt(7)
    before = board.now()
    board.purge([A])
    other.learn((Cell(index, 9, 0) for index in cells_of(B)), 9)
    other.learn((Cell(index, 2, 2) for index in cells_of(A)), 2)

    assert other.sequence == 9
    assert other.judge(before, [A]) is Verdict.PURGED
    assert other.judge(before, [B]) is Verdict.SOFT
    assert other.judge(other.now(), [A, B]) is Verdict.GOOD


def test_what_was_half_learnt_is_forgotten_with_its_board() -> None:
    board = Board()
    before = board.now()
    board.learn((Cell(place, 9, 9) for place in cells_of(A)), 0)
    assert board.judge(before, [A]) is Verdict.PURGED
    board.adopt(7)

    assert board.judge(board.now(), [A]) is Verdict.GOOD


def test_a_board_that_another_process_begins_anew_judges_nothing_by_its_old_id(tmp_path: Path) -> None:
    mine = Board(tmp_path / "board")
    before = mine.now()
    code = "import sys; from pathlib import Path; from llmproxy.caching.board import Board;"
    code += "board = Board(Path(sys.argv[1])); board.adopt(77); board.close()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "board")], check=True)

    assert mine.judge(before, [A]) is Verdict.PURGED
    assert mine.now().board == 77
    mine.close()


def test_a_board_on_disk_has_its_room_from_the_start(tmp_path: Path) -> None:
    Board(tmp_path / "board").close()
    told = (tmp_path / "board").stat()

    assert told.st_blocks * 512 >= 2 * 8 * CELLS


def spoil(path: Path, how: str) -> None:
    size = path.stat().st_size
    match how:
        case "taken away":
            path.unlink()
        case "replaced":
            path.rename(path.with_name("old"))
            Board(path).close()
        case "overwritten":
            with path.open("r+b") as file:
                file.write(b"\xa5" * size)
        case "zeros":
            with path.open("r+b") as file:
                file.write(bytes(size))
        case "another sequence":
            with path.open("r+b") as file:
                file.seek(16)
                file.write(b"\xff" * 8)


@pytest.mark.parametrize("how", ["taken away", "replaced", "overwritten", "zeros", "another sequence"])
def test_a_file_that_is_spoilt_while_it_is_used_is_left_and_nothing_from_before_holds(
    tmp_path: Path, how: str
) -> None:
    board = Board(tmp_path / "board")
    board.purge([B])
    before = board.now()
    spoil(tmp_path / "board", how)

    assert board.heal()
    assert not board.heal()
    assert board.judge(before, [A]) is Verdict.PURGED
    after = board.now()
    assert board.judge(after, [A]) is Verdict.GOOD
    board.purge([A])
    assert board.judge(after, [A]) is Verdict.PURGED
    board.close()


def test_who_still_has_a_board_that_others_left_finds_nothing_by_it(tmp_path: Path) -> None:
    stays, leaves = Board(tmp_path / "board"), Board(tmp_path / "board")
    before = stays.now()
    spoil(tmp_path / "board", "taken away")
    assert leaves.heal()

    assert stays.judge(before, [A]) is Verdict.PURGED
    assert stays.judge(stays.now(), [A]) is Verdict.PURGED
    assert stays.heal()
    assert stays.judge(leaves.now(), [A]) is Verdict.GOOD
    stays.close()
    leaves.close()


def test_nothing_holds_while_no_board_can_be_made(tmp_path: Path) -> None:
    board = Board(tmp_path / "deep" / "board")
    before = board.now()
    shutil.rmtree(tmp_path / "deep")
    (tmp_path / "deep").touch()
    with pytest.raises(OSError, match="deep"):
        board.heal()

    assert board.judge(before, [A]) is Verdict.PURGED
    assert board.judge(board.now(), [A]) is Verdict.PURGED
    (tmp_path / "deep").unlink()
    assert board.heal()
    assert board.judge(board.now(), [A]) is Verdict.GOOD
    board.close()


def test_a_file_that_was_cut_short_is_begun_anew_by_who_opens_it_next(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    before = board.now()
    os.truncate(tmp_path / "board", 100_000)
    other = Board(tmp_path / "board")

    assert board.judge(before, [A]) is Verdict.PURGED
    assert board.judge(other.now(), [A]) is Verdict.GOOD
    other.close()
    board.close()


def test_a_cell_with_a_number_that_nobody_gave_ends_the_board(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    before = board.now()
    board.purge([B])
    with (tmp_path / "board").open("r+b") as file:
        for row in range(2):
            for cell in cells_of(A):
                file.seek(65536 + 8 * (row * CELLS + cell))
                file.write(b"\x00\xff" * 4)

    assert board.judge(before, [A]) is Verdict.PURGED
    assert board.judge(board.now(), [A]) is Verdict.GOOD
    assert board.heal()
    assert not board.heal()
    board.close()


def test_a_board_is_never_made_over_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    (tmp_path / "board").symlink_to(tmp_path / "other")

    with pytest.raises(OSError, match="symbolic"):
        Board(tmp_path / "board")

    assert (tmp_path / "other").read_bytes() == b"precious"


def test_a_quiet_purge_purges_and_leaves_calls_in_the_air_together() -> None:
    board = Board()
    mark, before = board.now(), board.barrier
    board.purge([7], quiet=True)

    assert board.judge(mark, [7]) is Verdict.PURGED
    assert board.barrier == before

    board.purge([8])

    assert board.barrier > before


def test_what_is_learnt_of_other_hosts_parts_calls_in_the_air() -> None:
    board = Board()
    before = board.barrier
    board.learn((), board.sequence + 1)

    assert board.barrier > before


CUT = """
import os, sys
from pathlib import Path
from llmproxy.caching.board import Board, Verdict, slot_of

path, a = Path(sys.argv[1]), slot_of("tag", "a")
board, other = Board(path), Board(path)
before = board.now()
board.purge([slot_of("tag", "b")])
os.truncate(path, int(sys.argv[2]))
assert board.judge(before, [a]) is Verdict.PURGED
assert other.judge(board.now(), [a]) is Verdict.PURGED
assert board.heal() and not board.heal()
assert other.judge(before, [a]) is Verdict.PURGED
assert other.heal() and not other.heal()
after = board.now()
assert other.judge(after, [a]) is Verdict.GOOD
board.purge([a])
assert other.judge(after, [a]) is Verdict.PURGED
other.close()
board.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends the process")
@pytest.mark.parametrize("size", [0, 50_000, 70_000])
def test_a_file_that_is_cut_short_while_it_is_used_ends_no_process(tmp_path: Path, size: int) -> None:
    subprocess.run(
        [sys.executable, "-c", CUT, str(tmp_path / "board"), str(size)],
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
