from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import lmdb
import pytest

from llmproxy.errors import StartError
from llmproxy.stores import StoreAway
from llmproxy.stores.environment import FAULTS, Environment, Tables, Transaction

TABLES = ("one", "two")


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    opened = Environment.acquire(tmp_path / "env", 1 << 20, TABLES)
    yield opened
    opened.release()


def put(env: Environment, key: bytes, value: bytes) -> None:
    env.write(lambda txn: txn.put(key, value, db=env.tables[0]))


def get(env: Environment, key: bytes) -> bytes | None:
    with env.begin() as txn:
        found = txn.get(key, db=env.tables[0])
        return None if found is None else bytes(found)


def test_a_process_opens_it_once_and_the_last_holder_closes(tmp_path: Path) -> None:
    first = Environment.acquire(tmp_path / "env", 1 << 20, TABLES)
    second = Environment.acquire(tmp_path / "env", 1 << 20, TABLES)

    assert second is first

    first.release()
    put(second, b"k", b"v")
    second.release()
    with pytest.raises(StoreAway):
        put(second, b"k", b"v")


def test_what_was_flushed_is_there_after_the_hosts_restart(tmp_path: Path) -> None:
    env = Environment.acquire(tmp_path, 1 << 20, TABLES)
    put(env, b"k", b"v")
    env.release()

    assert (tmp_path / "boot").read_bytes() == b"flushed"
    env = Environment.acquire(tmp_path, 1 << 20, TABLES)
    assert get(env, b"k") == b"v"
    assert (tmp_path / "boot").read_bytes() != b"flushed"
    env.release()


def leave_behind(directory: Path) -> None:
    """Write in a process that ends without closing."""
    code = (
        "import os, sys; from pathlib import Path; from llmproxy.stores.environment import Environment\n"
        "env = Environment.acquire(Path(sys.argv[1]), 1 << 20, ('one', 'two'))\n"
        "env.write(lambda txn: txn.put(b'k', b'v', db=env.tables[0]))\n"
        "os._exit(0)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(directory)],
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_what_a_killed_process_leaves_is_kept(tmp_path: Path) -> None:
    leave_behind(tmp_path)

    env = Environment.acquire(tmp_path, 1 << 20, TABLES)

    assert get(env, b"k") == b"v"
    env.release()


def test_what_a_crashed_host_leaves_is_discarded(tmp_path: Path) -> None:
    leave_behind(tmp_path)
    (tmp_path / "boot").write_bytes(b"another boot")

    env = Environment.acquire(tmp_path, 1 << 20, TABLES)

    assert get(env, b"k") is None
    env.release()


def test_files_that_are_no_environment_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"junk" * 4096)
    (tmp_path / "boot").write_bytes(b"flushed")

    env = Environment.acquire(tmp_path, 1 << 20, TABLES)

    assert get(env, b"k") is None
    env.release()


def test_a_file_that_was_cut_short_is_no_danger(tmp_path: Path) -> None:
    env = Environment.acquire(tmp_path, 1 << 20, TABLES)
    for number in range(100):
        put(env, b"%d" % number, b"v" * 2000)
    env.release()
    whole = (tmp_path / "data.mdb").stat().st_size
    code = (
        "import sys; from pathlib import Path; from llmproxy.stores.environment import FAULTS, Environment\n"
        "env = Environment.acquire(Path(sys.argv[1]), 1 << 20, ('one', 'two'))\n"
        "for number in range(100):\n"
        "    try:\n"
        "        with env.begin() as txn: bytes(txn.get(b'%d' % number, db=env.tables[0]) or b'')\n"
        "    except FAULTS: pass\n"
    )
    for size in range(0, whole, whole // 6):
        os.truncate(tmp_path / "data.mdb", size)

        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            check=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )


def test_a_directory_that_cannot_be_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartError, match=r"store .*file/cache cannot be opened"):
        Environment.acquire(tmp_path / "file" / "cache", 1 << 20, TABLES)


def test_others_cannot_read_the_files(env: Environment) -> None:
    assert (env.directory / "data.mdb").stat().st_mode & 0o077 == 0
    assert env.directory.stat().st_mode & 0o077 == 0


def test_a_failed_write_leaves_nothing(env: Environment) -> None:
    def work(txn: Transaction) -> None:
        txn.put(b"k", b"v", db=env.tables[0])
        raise LookupError

    with pytest.raises(LookupError):
        env.write(work)

    assert get(env, b"k") is None


def test_a_full_map_is_told_apart_from_other_trouble(env: Environment) -> None:
    with pytest.raises(lmdb.MapFullError):
        put(env, b"k", b"x" * (2 << 20))
    with pytest.raises(StoreAway, match=str(env.directory)):
        put(env, b"", b"v")


def test_a_later_holder_may_grow_the_map(env: Environment) -> None:
    Environment.acquire(env.directory, 4 << 20, TABLES)

    put(env, b"k", b"x" * (2 << 20))

    assert env.map_size == 4 << 20
    env.release()


async def test_a_map_grown_by_another_process_is_taken_over(env: Environment) -> None:
    code = (
        "import sys; from pathlib import Path; from llmproxy.stores.environment import Environment\n"
        "env = Environment.acquire(Path(sys.argv[1]), 8 << 20, ('one', 'two'))\n"
        "env.write(lambda txn: txn.put(b'k', b'x' * (4 << 20), db=env.tables[0]))\n"
        "env.release()"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(env.directory)],
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    await env.in_thread(lambda: put(env, b"other", b"v"))

    assert len(get(env, b"k") or b"") == 4 << 20
    assert env.map_size == 8 << 20


async def test_its_thread_is_one_and_not_the_loops(env: Environment) -> None:
    async with asyncio.TaskGroup() as group:
        names = [group.create_task(env.in_thread(threading.get_ident)) for _ in range(3)]

    assert len({name.result() for name in names}) == 1
    assert names[0].result() != threading.get_ident()


def test_used_counts_live_pages_only(env: Environment) -> None:
    put(env, b"k", b"x" * 100_000)
    with env.begin() as txn:
        full = env.used(txn)
    env.write(lambda txn: txn.delete(b"k", db=env.tables[0]))
    with env.begin() as txn:
        empty = env.used(txn)

    assert full >= 100_000
    assert empty < 20_000


def test_what_a_link_leads_to_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "boot").symlink_to(tmp_path / "other")

    with pytest.raises(StartError):
        Environment.acquire(tmp_path / "store", 1 << 20, ("one",))

    assert (tmp_path / "other").read_bytes() == b"precious"


def spoil(directory: Path, how: str) -> None:
    match how:
        case "removed":
            shutil.rmtree(directory)
        case "data removed":
            (directory / "data.mdb").unlink()
        case "lock removed":
            (directory / "lock.mdb").unlink()
        case _:
            with (directory / "data.mdb").open("r+b") as file:
                file.write(b"\xa5" * (directory / "data.mdb").stat().st_size)


WAYS = pytest.mark.parametrize("how", ["removed", "data removed", "lock removed", "overwritten"])


@WAYS
def test_files_that_are_spoilt_while_they_are_used_are_left_for_new_ones(
    env: Environment, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("llmproxy.stores.environment._LOOK", 0.0)
    user = User()
    env.users.add(user)
    put(env, b"k", b"v")
    spoil(env.directory, how)
    try:
        assert get(env, b"k") == b"v"
    except (StoreAway, *FAULTS) as fault:
        _ = env.away(fault)  # as stores do
    with suppress(StoreAway):
        put(env, b"other", b"v")
    put(env, b"k", b"new")

    assert get(env, b"k") == b"new"
    assert get(env, b"other") in (b"v", None)
    assert user.tables is env.tables
    again = Environment.acquire(env.directory, 1 << 20, TABLES)
    assert again is env
    again.release()


class User:
    def __init__(self) -> None:
        self.tables: Tables = ()

    def take(self, tables: Tables) -> None:
        self.tables = tables


OTHER = """
import sys
from pathlib import Path
from llmproxy.stores import environment
from llmproxy.stores.interface import StoreAway

environment._LOOK = 0.0
env = environment.Environment.acquire(Path(sys.argv[1]), 1 << 20, ("one", "two"))
for line in sys.stdin:
    key, _, value = line.strip().partition("=")
    try:
        if value:
            env.write(lambda txn: txn.put(key.encode(), value.encode(), db=env.tables[0]))
        with env.begin() as txn:
            print(bytes(txn.get(key.encode(), db=env.tables[0]) or b"none").decode(), file=sys.stderr, flush=True)
    except (StoreAway, *environment.FAULTS):
        print("away", file=sys.stderr, flush=True)
"""


@WAYS
def test_processes_that_left_their_files_meet_in_the_new_ones(
    env: Environment, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("llmproxy.stores.environment._LOOK", 0.0)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(env.directory)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stderr is not None

        def ask(line: str) -> str:
            other.stdin.write(line + "\n")  # type: ignore[union-attr]
            other.stdin.flush()  # type: ignore[union-attr]
            return other.stderr.readline().strip()  # type: ignore[union-attr]

        put(env, b"k", b"v")
        assert ask("k") == "v"
        spoil(env.directory, how)
        for _ in range(2):
            with suppress(StoreAway):
                put(env, b"mine", b"1")
            _ = ask("theirs=2")
        other_sees, here = ask("mine"), get(env, b"theirs")
        other.stdin.close()

    assert (other_sees, here) == ("1", b"2")


def test_what_cannot_be_renewed_is_away_until_it_can(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmproxy.stores.environment._LOOK", 0.0)
    put(env, b"k", b"v")
    shutil.rmtree(env.directory)
    env.directory.touch()
    for _ in range(2):
        with pytest.raises(StoreAway, match="damaged"):
            put(env, b"k", b"v")
    env.directory.unlink()
    put(env, b"k", b"new")

    assert get(env, b"k") == b"new"


CUT = """
import os, sys
from pathlib import Path
from llmproxy.stores import environment
from llmproxy.stores.interface import StoreAway

environment._LOOK = 0.0
env = environment.Environment.acquire(Path(sys.argv[1]), 1 << 20, ("one", "two"))
def put(key):
    env.write(lambda txn: txn.put(key, b"v" * 3000, db=env.tables[0]))
for number in range(50):
    put(b"%d" % number)
os.truncate(env.directory / sys.argv[2], int(sys.argv[3]))
for number in range(50):
    try:
        put(b"%d" % number)
        with env.begin() as txn:
            txn.get(b"0", db=env.tables[0])
    except (StoreAway, *environment.FAULTS) as fault:
        env.away(fault)
put(b"k")
with env.begin() as txn:
    assert bytes(txn.get(b"k", db=env.tables[0])) == b"v" * 3000
env.release()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends the process")
@pytest.mark.parametrize(
    ("name", "size"), [("data.mdb", 0), ("data.mdb", 16384), ("data.mdb", 90_000), ("lock.mdb", 0)]
)
def test_a_file_that_is_cut_short_while_it_is_used_ends_no_process(
    tmp_path: Path, name: str, size: int
) -> None:
    subprocess.run(
        [sys.executable, "-c", CUT, str(tmp_path), name, str(size)],
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
