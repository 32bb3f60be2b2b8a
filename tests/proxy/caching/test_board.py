import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching import board as module
from llmproxy.caching.board import SLOTS, Board, Verdict, slot_of

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
    assert 0 <= slot_of("x") < SLOTS


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


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"LPboard1" + b"\0" * 4088])
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
