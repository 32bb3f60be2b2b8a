"""LMDB environments: one a process however many stores name it, shared by the workers of a host.

No writemap: a full disk would end the worker by SIGBUS. No fsync either: a commit costs 5 us, and what a
killed process leaves is whole, but what a crashed *host* leaves may not be. So a directory carries the boot
it was used in, and the first to open it after another boot starts anew, unless the last to close it flushed.
Files that turn out to be damaged, or were deleted while they were used, are left for new ones by whoever notices.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError  # noqa: N812  # a class, whatever its name looks like
from threading import get_ident
from time import monotonic
from typing import ClassVar, Final, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

import lmdb
import structlog

from llmproxy.errors import StartError
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.lostpages import guard
from llmproxy.stores.turnstile import Turnstile

T = TypeVar("T")
Transaction: TypeAlias = "lmdb.Transaction[memoryview]"
Table: TypeAlias = "lmdb._Database"
Tables: TypeAlias = "tuple[Table, ...]"
Files: TypeAlias = "tuple[tuple[int, int] | None, tuple[int, int] | None]"

_MAX_READERS: Final = 512
_FLUSHED: Final = b"flushed"
_FILES: Final = ("data.mdb", "lock.mdb")
#: What a corrupt file may lead to, besides LMDB's own word for it.
FAULTS: Final = (lmdb.Error, StructError)
#: What only a corrupt file leads to.
_DAMAGE: Final = (
    lmdb.CorruptedError,
    lmdb.CursorFullError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
    StructError,
)
# Seconds for the other writers: on the loop, which has other things to do, and elsewhere.
_PATIENCE_LOOP: Final = 0.1
_PATIENCE_THREAD: Final = 1.0
_LOOK: Final = 1.0  # seconds between two looks, made by writers, whether the files are still there

_log = structlog.get_logger("llmproxy")


class Tabled(Protocol):
    """What keeps the tables of an environment at hand."""

    def take(self, tables: Tables) -> None:
        """Use these from now on: the environment has other files."""


class Environment:
    """An open environment of this process; `acquire` and `release` come in pairs.

    The thread that opens it reads and writes; its own thread only writes, one transaction at a time. So the
    map can be resized by the opening thread while it holds the lock: no transaction is running then.
    """

    _open: ClassVar[dict[tuple[int, Path], Environment]] = {}

    def __init__(self, directory: Path, map_size: int, tables: tuple[str, ...]) -> None:
        self.directory = directory
        self.map_size = map_size
        self._holders = 0
        self._opener = get_ident()
        self._writer: ThreadPoolExecutor | None = None
        self._names = tables
        #: Who is told of other tables.
        self.users: WeakSet[Tabled] = WeakSet()
        self._damaged = False
        self._look_at = 0.0
        self._claim, self._lmdb, self.tables, self._files = _open(directory, map_size, tables)
        self._turnstile = Turnstile(directory / "turn")
        self._guard()

    @classmethod
    def acquire(cls, directory: Path, map_size: int, tables: tuple[str, ...]) -> Environment:
        """Open the environment, or join the one this process has open, growing it to `map_size`.

        Raises:
            StartError: the directory cannot be made, or what is in it cannot be opened.
        """
        place = (os.getpid(), directory.absolute())
        found = cls._open.get(place)
        if found is None:
            try:
                found = cls._open[place] = cls(directory, map_size, tables)
            except (OSError, *FAULTS) as error:
                raise StartError(f"store {directory} cannot be opened: {error}") from error
        found._holders += 1
        if map_size > found.map_size:
            found._resize(map_size)
        return found

    def release(self) -> None:
        """Let go; the last holder closes, and flushes if no other process has the files open."""
        self._holders -= 1
        if self._holders:
            return
        del self._open[(os.getpid(), self.directory.absolute())]
        if self._writer is not None:
            self._writer.shutdown()
        self._turnstile.close()
        flushed = not self._damaged and _try_lock(self._claim)
        try:
            if flushed:
                self._lmdb.sync(True)
        except lmdb.Error:
            flushed = False  # a full or broken disk: the mark stays that of this boot
        self._lmdb.close()
        if self._claim < 0:
            return
        try:
            if flushed:
                _mark(self._claim, _FLUSHED)
        except OSError:
            pass  # what is written is no mark, and begins anew
        os.close(self._claim)

    def begin(self, *, write: bool = False) -> Transaction:
        """Start a transaction; the caller ends it before it awaits anything."""
        if self._damaged:
            raise lmdb.CorruptedError("the files are damaged, and not renewed yet")
        try:
            return self._lmdb.begin(None, None, write, True)  # by position: half as dear
        except lmdb.MapResizedError:
            if get_ident() != self._opener:
                raise
            self._resize(0)
            return self._lmdb.begin(write=write, buffers=True)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one write transaction, committed when it returns, void when it raises.

        Raises:
            lmdb.MapFullError: no page is left.
            StoreAway: any other trouble with the files.
        """
        patience = _PATIENCE_THREAD
        if get_ident() == self._opener:
            patience = _PATIENCE_LOOP
            self._look()
        if not self._turnstile.enter(patience):
            raise StoreAway(f"store {self.directory}: closed, or another writer is not done")
        try:
            with self.begin(write=True) as txn:
                return work(txn)
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except FAULTS as error:
            raise self.away(error) from error
        finally:
            self._turnstile.leave()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run `work`, which writes, in this environment's one writer thread."""
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, f"llmproxy-{self.directory.name}")
        loop = asyncio.get_running_loop()
        self._look()
        try:
            return await loop.run_in_executor(self._writer, work)
        except lmdb.MapResizedError:
            self._resize(0)
            return await loop.run_in_executor(self._writer, work)

    def used(self, txn: Transaction) -> int:
        """Return the bytes of the pages in use; what is free inside the file does not count."""
        size = 0
        for table in self.tables:
            stat = txn.stat(table)
            size += (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]
        return size

    def check_readers(self) -> int:
        """Free the reader slots of processes that died, and return how many there were."""
        return self._lmdb.reader_check()

    def away(self, error: Exception) -> StoreAway:
        """Say what went wrong with the files as callers expect to hear it."""
        if isinstance(error, _DAMAGE) and not self._damaged:
            # LMDB believes what it reads: to go on with such files may end the process.
            self.pages_lost()
        return StoreAway(f"store {self.directory}: {error}")

    def _guard(self) -> None:
        for name in _FILES:
            guard(self.directory / name, self)

    def pages_lost(self) -> None:
        """The files were cut short, or their disk fails; what is read may be zeros, which LMDB may take for anything."""
        self._damaged, self._look_at = True, 0.0

    def _look(self) -> None:
        """Leave the files for new ones if they are damaged, or not there any more."""
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK
        if not self._damaged and _files(self.directory) == self._files:
            return
        if self._turnstile.lock.acquire(timeout=_PATIENCE_LOOP):
            try:
                self._renew()
            except (OSError, *FAULTS) as error:
                _log.warning("store_files_lost", store=str(self.directory), reason=str(error))
            finally:
                self._turnstile.lock.release()

    def _renew(self) -> None:
        """Open other files; the caller holds the turnstile's lock, so that no transaction is running."""
        self._damaged = True  # until that is done
        self._lmdb.close()
        if self._claim >= 0:
            os.close(self._claim)
            self._claim = -1
        opened = _open(self.directory, self.map_size, self._names, without=self._files)
        self._claim, self._lmdb, self.tables, self._files = opened
        self._turnstile.turn_to(self.directory / "turn")
        for user in self.users:
            user.take(self.tables)
        self._guard()
        self._damaged = False
        _log.warning("store_files_renewed", store=str(self.directory))

    def _resize(self, map_size: int) -> None:
        """Set the size of the map, or with 0 take over the one another process has set."""
        with self._turnstile.lock:
            try:
                self._lmdb.set_mapsize(map_size)
            except lmdb.Error as error:
                self.pages_lost()  # the environment is closed: the size was read from a damaged file
                raise self.away(error) from error
            self.map_size = self._lmdb.info()["map_size"]


def _open(
    directory: Path, map_size: int, tables: tuple[str, ...], *, without: Files | None = None
) -> tuple[int, lmdb.Environment, Tables, Files]:
    """Open the files, but for those of a damaged environment; whoever has those open finds out in time."""
    with _alone(directory):
        found = _files(directory)
        if without is not None and (found[0] is None or found[0] == without[0]):
            _discard(directory)
        claim, first = _claim(directory)
        try:
            env, handles = _open_or_begin(directory, map_size, tables, first=first)
            fcntl.flock(claim, fcntl.LOCK_SH)
        except BaseException:
            os.close(claim)
            raise
        return claim, env, handles, _files(directory)


def _open_or_begin(
    directory: Path, map_size: int, tables: tuple[str, ...], *, first: bool
) -> tuple[lmdb.Environment, Tables]:
    try:
        return _open_files(directory, map_size, tables)
    except lmdb.DiskError:
        raise
    except FAULTS:
        if not first:
            raise
        _discard(directory)
        return _open_files(directory, map_size, tables)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Make the directory, and keep others from opening or renewing what is in it meanwhile."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _files(directory: Path) -> Files:
    """Return what names the files themselves, None for one that is not there."""
    return _file(directory / _FILES[0]), _file(directory / _FILES[1])


def _file(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _open_files(directory: Path, map_size: int, tables: tuple[str, ...]) -> tuple[lmdb.Environment, Tables]:
    env = lmdb.open(
        str(directory),
        map_size=map_size,
        mode=0o600,
        metasync=False,
        sync=False,
        max_readers=_MAX_READERS,
        max_dbs=len(tables),
        max_spare_txns=2,
    )
    try:
        _lengthen(directory / "data.mdb", (env.info()["last_pgno"] + 1) * env.stat()["psize"])
        return env, tuple(env.open_db(name.encode()) for name in tables)
    except BaseException:
        env.close()
        raise


def _lengthen(file: Path, size: int) -> None:
    """Fill up what was cut off, which to read would end the process; zeros are an error that LMDB tells."""
    if file.stat().st_size < size:
        os.truncate(file, size)


def _claim(directory: Path) -> tuple[int, bool]:
    """Lock the directory's mark, shared with its other users; say whether there are none."""
    claim = os.open(directory / "boot", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not _try_lock(claim):
        fcntl.flock(claim, fcntl.LOCK_SH)  # waits while the first user makes it ready, or the last one leaves
        _mark(claim, _boot_id())
        return claim, False
    if os.pread(claim, 256, 0) not in (_boot_id(), _FLUSHED):
        _discard(directory)
    _mark(claim, _boot_id())
    return claim, True


def _try_lock(claim: int) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mark(claim: int, text: bytes) -> None:
    if os.pread(claim, 256, 0) == text:
        return
    os.ftruncate(claim, 0)
    os.pwrite(claim, text, 0)
    os.fsync(claim)


def _discard(directory: Path) -> None:
    for name in _FILES:
        (directory / name).unlink(missing_ok=True)


def _boot_id() -> bytes:
    """Return what names this run of the host; where there is no such name, nothing is ever discarded."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b"unknown"
