from __future__ import annotations

import stat
from pathlib import Path

import apsw
import pytest

from llmproxy_access.schema import FileRows, connect


@pytest.fixture
def rows(tmp_path: Path) -> FileRows:
    return FileRows(connect(tmp_path / "new" / "access.db"))


def version(rows: FileRows) -> int:
    found = rows.found("SELECT value FROM state WHERE name = 'version'")
    assert found is not None
    return int(found[0])


def break_off(rows: FileRows) -> None:
    with rows.changing():
        rows.run("INSERT INTO state VALUES ('lost', 1)")
        rows.run("INSERT INTO state VALUES ('lost', 2)")


def test_what_is_written_stays_written_and_others_may_read_meanwhile(rows: FileRows) -> None:
    assert rows.found("PRAGMA journal_mode") == ("wal",)
    assert rows.found("PRAGMA synchronous") == (2,)
    assert rows.found("PRAGMA foreign_keys") == (1,)
    rows.close()


def test_sqlite_is_one_that_two_processes_may_write_with() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


def test_a_change_counts_up_and_a_broken_one_leaves_nothing(rows: FileRows) -> None:
    before = version(rows)
    with rows.changing():
        rows.run("INSERT INTO state VALUES ('kept', 1)")
    with pytest.raises(apsw.ConstraintError):
        break_off(rows)

    assert rows.all("SELECT name FROM state ORDER BY name") == [("kept",), ("version",)]
    assert version(rows) == before + 1
    rows.close()


def test_a_block_of_reading_sees_one_moment(rows: FileRows, tmp_path: Path) -> None:
    other = FileRows(connect(tmp_path / "new" / "access.db"))
    with rows.reading():
        before = version(rows)
        with other.changing():
            pass
        assert version(rows) == before
    assert version(rows) == before + 1
    rows.close()
    other.close()


def test_a_file_that_was_open_to_all_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "access.db"
    file.touch(0o640)
    connect(file).close()

    assert stat.S_IMODE(file.stat().st_mode) == 0o640
