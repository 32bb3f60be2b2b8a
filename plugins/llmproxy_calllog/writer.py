"""Writes records from a thread of its own.

Theory. The event loop puts a call's plain values into a bounded queue, and never waits: what does not fit is dropped
and counted. The thread makes records of them and writes them a batch at a time. It waits a moment after it was woken,
so that a busy loop is interrupted some times a second and not once a call. A batch that cannot be written because
another process holds the database is tried again; while the database is away a batch is kept, and the queue fills behind
it; one that fails otherwise is dropped, counted, and told of in the log once a minute.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmproxy.plugin import CounterChild, Metrics, PostgresAway
from llmproxy_calllog.call import Record
from llmproxy_calllog.taking import Ended, Kept
from llmproxy_calllog.telling import Teller

_GATHER: Final = 0.2
_BATCH: Final = 200
_TRIES: Final = 3
_TELL_AGAIN: Final = 60.0
#: Seconds between two tries to write to a database that is away.
_AWAY: Final = 0.5

Entry = tuple[Teller, Ended, Kept | None, int]


class Busy(Exception):
    """Somebody else writes, and goes on writing."""


class Sink(Protocol):
    """Where records go; used by one thread at a time."""

    def write(self, records: Sequence[Record]) -> None:
        """Keep records, all or none.

        Raises:
            Busy: it may work a moment later.
            PostgresAway: it may work when the database is back; the same records are written again.
        """

    def tidy(self, keep: float | None, most: int | None) -> bool:
        """Delete some of what is older than `keep` seconds or more than `most` bytes; whether there is more to do."""

    def close(self) -> None:
        """Let go of it."""


class Meters:
    """What is counted of records."""

    def __init__(self, metrics: Metrics) -> None:
        family = metrics.counter(
            "llmproxy_calllog_records_total",
            "Records of calls: written, dropped because the queue was full, or failed to be written.",
            ("outcome",),
        )
        self.written: CounterChild = family.labels("written")
        self.dropped: CounterChild = family.labels("dropped")
        self.failed: CounterChild = family.labels("failed")


class Writer:
    """A queue and the thread that empties it; `limit` records and `most` bytes of bodies wait at most."""

    def __init__(
        self, sink: Sink, meters: Meters, tell: Callable[[str, int], object], limit: int, most: int
    ) -> None:
        self._sink = sink
        self._meters = meters
        self._tell = tell
        self._limit = limit
        self._most = most
        # each is changed by one thread alone
        self._size_put = self._size_taken = 0
        self._queue: deque[Entry] = deque()
        self._tidying: tuple[float | None, int | None] | None = None
        self._told_at = float("-inf")
        self._given_up = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Write from now on."""
        self._thread = threading.Thread(target=self._run, name="calllog-writer", daemon=True)
        self._thread.start()

    def put(self, teller: Teller, ended: Ended, kept: Kept | None = None, size: int = 0) -> None:
        """Have a record written; `size` is how much is kept of its bodies."""
        if len(self._queue) >= self._limit or (
            size and self._size_put - self._size_taken + size > self._most
        ):
            self._meters.dropped.inc()
            return
        self._size_put += size
        self._queue.append((teller, ended, kept, size))
        if not self._wake.is_set():
            self._wake.set()

    def ask_to_tidy(self, keep: float | None, most: int | None) -> None:
        """Have what is too old or too much deleted, in small steps between batches."""
        self._tidying = keep, most
        self._wake.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, for so many seconds at most."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._closing.set()
            self._wake.set()
            thread.join(timeout)

    def _run(self) -> None:
        closing = False
        while not closing:
            self._wake.wait()
            closing = self._closing.wait(_GATHER)
            self._wake.clear()  # before the queue is looked at: what comes later wakes again
            self._drain()
            if not closing:
                self._tidy()
        self._sink.close()

    def _drain(self) -> None:
        while self._queue:
            entries = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            self._size_taken += sum(entry[3] for entry in entries)
            self._write([record for entry in entries if (record := self._made(entry)) is not None])
            time.sleep(0)  # the event loop may run between batches

    def _made(self, entry: Entry) -> Record | None:
        teller, ended, kept, _ = entry
        try:
            return teller.record(ended, kept)
        except Exception as fault:  # one record must not end the writer
            self._failed(1, type(fault).__name__)
            return None

    def _write(self, records: Sequence[Record]) -> None:
        tries = 0
        while tries < _TRIES and not self._given_up:
            try:
                self._sink.write(records)
            except Busy:
                tries += 1
            except PostgresAway:
                # Who closes waits for nobody's return.
                self._given_up = self._closing.wait(_AWAY)
            except Exception as fault:
                self._failed(len(records), type(fault).__name__)
                return
            else:
                self._meters.written.inc(len(records))
                return
        self._failed(len(records), "PostgresAway" if self._given_up else "Busy")

    def _tidy(self) -> None:
        asked, self._tidying = self._tidying, None
        if asked is None:
            return
        try:
            while self._sink.tidy(*asked) and not self._closing.is_set():
                if self._queue:
                    self._drain()
                time.sleep(0)
        except (Busy, PostgresAway):
            pass  # it is asked for again
        except Exception as fault:
            self._failed(0, type(fault).__name__)

    def _failed(self, records: int, fault: str) -> None:
        """Count what is lost; tell why by the fault's class alone, for its text may hold anything."""
        self._meters.failed.inc(records)
        now = time.monotonic()
        if now - self._told_at >= _TELL_AGAIN:
            self._told_at = now
            self._tell(fault, records)
