"""How journals reach the database: in a thread, in groups, again and again until it has them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.entries import WriteBooks
from llmproxy_ledger.journal import LOCK, SEGMENT, Journal, claim, journals, segments
from llmproxy_ledger.records import read

#: Bytes of a segment that one transaction takes.
_AT_ONCE = 4 << 20


class Posting:
    """Posts the journal of this process, and takes over those of dead ones.

    `books` opens the database; it is the file beside the journals if not told.
    """

    def __init__(
        self,
        directory: Path,
        faulty: Callable[[Exception], None] = lambda fault: None,
        books: Callable[[], WriteBooks] | None = None,
    ) -> None:
        self._directory = directory
        self._faulty = faulty
        self._opening: Callable[[], WriteBooks] = books or partial(Books, directory / FILE)
        self._books: WriteBooks | None = None
        self._read: dict[Path, int] = {}
        self._guard = threading.Lock()

    def post(self, journal: Journal) -> int:
        """Post what is there of this process's journal; return how many rows."""
        with self._guard:
            journal.flush()
            return self._post_own(journal)

    def finish(self, journal: Journal) -> tuple[int, int]:
        """Post all of this process's journal, which has ended, and remove it; give its open calls up.

        Return how many rows, and how many calls.
        """
        with self._guard:
            return self._post_own(journal, last=True), self._open().give_up(journal.name)

    def take_over(self) -> int:
        """Post the journals of processes that died, and give their open calls up; return how many calls."""
        with self._guard:
            return sum(map(self._take_over, journals(self._directory)))

    def _take_over(self, name: str) -> int:
        path = self._directory / (name + LOCK)
        held = claim(path)
        if held is None:
            return 0
        given_up = 0
        try:
            self._post_all(name, None)
            given_up = self._open().give_up(name)
            if not segments(self._directory, name):
                path.unlink()
        except Exception as fault:  # one that cannot be posted keeps no other from it
            self._faulty(fault)
        finally:
            os.close(held)
        return given_up

    def held(self) -> int:
        """Return the bytes of all journals in the directory."""
        sizes = 0
        for path in self._directory.glob("*" + SEGMENT):
            with suppress(FileNotFoundError):  # it was posted meanwhile
                sizes += path.stat().st_size
        return sizes

    def close(self) -> None:
        """Close the database."""
        with self._guard:
            if self._books is not None:
                self._books.close()
                self._books = None

    def _open(self) -> WriteBooks:
        if self._books is None:
            self._books = self._opening()
        return self._books

    def _post_own(self, journal: Journal, *, last: bool = False) -> int:
        """Post what this process's journal remembers, or what it holds if that is not all."""
        books, name = self._open(), journal.name
        books.ready()
        (rows, calls), segment, size = journal.take(every=last or books.apart)
        done = False
        try:
            # A segment is removed when its calls stand in the database that go on.
            records = calls if rows is None else rows + calls
            posted = books.post((name, record) for record in records) if records else 0
            if rows is None:
                posted += self._post_all(name, None if last else segment)
            else:
                self._remove_until(name, segment, size, last=last)
            done = True
        finally:
            journal.posted(done=done)
        return posted

    def _remove_until(self, name: str, segment: Path, size: int, *, last: bool) -> None:
        for path in segments(self._directory, name):
            if last or path < segment:
                self._read.pop(path, None)
                path.unlink()
            elif path == segment:
                self._read[path] = size

    def _post_all(self, name: str, current: Path | None) -> int:
        """Post all segments of a journal in order, and remove those that are whole in the database.

        Those from `current` on are still written to, or were when it was asked which one that is.
        """
        rows = 0
        for path in segments(self._directory, name):
            rows += self._post_segment(name, path)
            if current is None or path < current:
                self._remove(path)
        return rows

    def _post_segment(self, name: str, path: Path) -> int:
        rows = 0
        self._open().ready()
        # What is written meanwhile waits for the next time: under load there is always more.
        size = path.stat().st_size
        while (at := self._read.get(path, 0)) < size:
            with path.open("rb") as file:
                file.seek(at)
                found = list(read(file.read(_AT_ONCE)))
            if not found:
                break
            rows += self._open().post((name, reading.record) for reading in found)
            self._read[path] = at + found[-1].end
        return rows

    def _remove(self, path: Path) -> None:
        """Remove a segment; what is broken in it is kept beside, for a person to look at."""
        if path.stat().st_size > self._read.pop(path, 0):
            path.rename(path.with_suffix(".broken"))
            self._faulty(ValueError(f"the journal {path.name} has a part that cannot be read"))
        else:
            path.unlink()


class Poster:
    """The thread that posts, every so many seconds.

    `posted` is told how many rows, `held` how many bytes of journals there still are and whether that is all there may
    be: while they are more than `limit`, the journal takes no new calls.
    """

    def __init__(
        self,
        journal: Journal,
        posting: Posting,
        every: float,
        posted: Callable[[int], None],
        faulty: Callable[[Exception], None],
        held: Callable[[int, bool], None] = lambda size, full: None,
        limit: int | None = None,
    ) -> None:
        self._journal, self._posting, self._every = journal, posting, every
        self._posted, self._faulty, self._held, self._limit = posted, faulty, held, limit
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-posting", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Post the rest, and stop."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.post()

    def post(self) -> None:
        """Post once; what fails is told, and tried again the next time."""
        for work in (self._post, self._look):
            try:
                work()
            except Exception as fault:  # whatever it is, what is not posted now is later
                self._faulty(fault)

    def _post(self) -> None:
        self._posted(self._posting.post(self._journal))

    def _look(self) -> None:
        held = self._posting.held()
        self._journal.full = self._limit is not None and held > self._limit
        self._held(held, self._journal.full)
