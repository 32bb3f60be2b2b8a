"""The writer of one place: opened once a process, whatever generations come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresUrl, Runtime, StartError, postgres_of
from llmproxy_calllog.asking import AnyReader, NotALog
from llmproxy_calllog.database import Database, Reader
from llmproxy_calllog.lines import Files, Output
from llmproxy_calllog.postgreslog import SCHEMA, PostgresLog, PostgresReader, give_up_idle
from llmproxy_calllog.writer import Meters, Sink, Writer


class Place(NamedTuple):
    """Where records go, and how; two of the same are one."""

    to: str
    path: str
    search: bool
    queue: int
    queue_size: int
    rotate_at: int
    url: PostgresUrl | None = None

    @property
    def shown(self) -> str:
        """Where it is, for people."""
        return self.path if self.url is None else self.url.place


@asynccontextmanager
async def open_writer(place: Place, runtime: Runtime) -> AsyncIterator[Writer]:
    """Hold a writer; what waits is written before it is left.

    Raises:
        StartError: the file is of something else.
        OSError: it cannot be opened.
    """
    try:
        sink = await asyncio.to_thread(open_sink, place, runtime)
    except (NotALog, apsw.Error) as fault:
        why = str(fault) if isinstance(fault, NotALog) else type(fault).__name__
        raise StartError(f"plugin {runtime.name!r}: {place.shown!r} cannot be used: {why}") from fault

    def tell(fault: str, records: int) -> None:
        runtime.sink.put(
            "error", "calllog_not_written", dict, {"path": place.shown, "fault": fault, "records": records}
        )

    writer = Writer(sink, Meters(runtime.metrics), tell, place.queue, place.queue_size)
    writer.open()
    try:
        yield writer
    finally:
        await asyncio.to_thread(writer.close)


def open_sink(place: Place, runtime: Runtime) -> Sink:
    """Open where records go."""
    if place.to == "sqlite":
        return Database(Path(place.path), search=place.search, wall=runtime.clock.wall)
    if place.url is not None:
        postgres = postgres_of(runtime, place.url, SCHEMA, connections=1, prepare=give_up_idle)
        return PostgresLog(BlockingPostgres(postgres), search=place.search, wall=runtime.clock.wall)
    if place.to == "jsonl":
        return Files(Path(place.path), place.rotate_at, runtime.clock.wall)
    return Output()


def open_reader(path: Path | None, url: PostgresUrl | None) -> AnyReader:
    """Open what records were written to.

    Raises:
        NotALog: it is no log of calls, or cannot be read now.
    """
    if url is not None:
        return PostgresReader(BlockingPostgres(Postgres(url, SCHEMA, connections=1)))
    assert path is not None
    return Reader(path)
