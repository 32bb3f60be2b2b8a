"""One purge board for many hosts: its numbers come from a Redis or Valkey server, and every purge goes to all.

Theory of operation. The server holds the shared board: a hash with its id, its last number, and the cells that were
ever purged; and a stream of the last purges, each under its number. A purge is one script there, applied here at once.
Every worker reads the stream, so it knows each purge as soon as the server has it, and with every answer that says
what the last number is, it knows that it has missed none. For `BOUND` seconds from asking that, what the board says
is trusted; after that nothing is, until the worker has caught up. A worker that starts, or finds that the stream no
longer reaches back far enough, reads the whole hash.

Where the server cannot be reached, a purge is done on this host with a number beyond all that other hosts may have got
meanwhile, told as failed, and told to the server as soon as it is there again. A server that was started again, or
taken over from, may have lost purges: it is known by its run's id, and then the board is begun anew, and no entry from
before counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import structlog

from llmproxy.caching.board import Board, Purged, Verdict
from llmproxy.caching.entry import Mark
from llmproxy.caching.sharedboard import AnotherBoard, Known, SharedBoard, SharedServer
from llmproxy.caching.tags import tag_slots
from llmproxy.tasks import spawn

#: Seconds after which every host obeys a purge that any of them has answered, or serves nothing from its store.
BOUND: Final = 1.0

_POLL: Final = BOUND / 4
_LONGEST_PAUSE: Final = 0.4
_MOST_OWED: Final = 4096
_BEYOND: Final = 1 << 62  # what no board comes to

_log = structlog.get_logger("llmproxy")


class Mirror:
    """Keeps a board like those of the other hosts, from `start` to `close`."""

    def __init__(self, board: Board, server: SharedServer, name: str = "") -> None:
        self._board = board
        self._server = server
        self._shared = SharedBoard(server)
        self._name = name
        self._reader = server.second_client(2 * BOUND)
        self._id = 0
        self._lost = 0
        self._at = 0
        self._until = 0.0
        self._caught_up = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._owed: dict[tuple[int, bool], None] = {}

    # What a space asks.

    @property
    def trusted(self) -> bool:
        """Whether every purge is known that was answered `BOUND` seconds ago."""
        return monotonic() < self._until

    async def mark(self) -> Mark:
        """Return the mark for a request that is sent after this call: past every purge that was answered before it."""
        with suppress(Exception):
            last: Mark | None = await self._server.ask(self._shared.last, self._server.client)
            if last is not None:
                return last
        # An older mark: the entry is purged with more than it need be.
        return self._board.now()

    async def judge(self, mark: Mark, slots: Iterable[int]) -> Verdict:
        """Say what the server's own board says of an entry.

        Raises:
            StoreAway: it says nothing.
        """
        verdict: Verdict = await self._server.ask(self._shared.judge, self._server.client, mark, slots)
        return verdict

    async def purge(self, slots: Iterable[int], *, soft: bool = False, quiet: bool = False) -> Purged:
        """Purge for all hosts, and here at once; for this host alone, and later for the others, without the server."""
        wanted = list(slots)
        client, ask = self._server.client, self._server.ask
        try:
            number = await ask(self._tell, client, wanted, soft=soft)
            if not number:
                await ask(self._agree, client)
                number = await ask(self._tell, client, wanted, soft=soft)
        except Exception:  # whatever it is, other hosts may not have heard
            number = 0
        if number:
            return Purged(self._board.purge(wanted, soft=soft, sequence=number, quiet=quiet))
        self._owe(wanted, soft=soft)
        return Purged(self._board.purge(wanted, soft=soft, alone=True, quiet=quiet), everywhere=False)

    def lost(self) -> None:
        """Trust nothing any more: the board has lost purges. The hosts begin another, or stale entries would be back."""
        self._until = 0.0
        self._lost = self._id or self._lost
        self._id = 0

    # What keeps it so.

    def start(self) -> None:
        """Begin to follow the other hosts' purges, whatever happens to the connection."""
        self._task = spawn(self._run(), name="purge-mirror")

    async def _run(self) -> None:
        pause = 0.0
        while not self._closing:
            try:
                await self._follow()
            except AnotherBoard:
                pause = 0.0
            except Exception as fault:  # whatever it is: once the bound is over nothing is trusted
                if self._caught_up.is_set():
                    _log.warning("purge_mirror_away", store=self._name, fault=type(fault).__name__)
                    self._caught_up.clear()
                    pause = 0.0
                pause = min(pause * 2, _LONGEST_PAUSE) or 0.02
                await asyncio.sleep(pause)

    async def wait(self, seconds: float) -> None:
        """Wait until everything is known that was purged so far, but no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()

    async def close(self) -> None:
        """Follow nobody any more."""
        self._closing = True
        if self._task is not None:
            # The client may lose the cancellation; then the next answer ends it.
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._reader.aclose()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    async def _follow(self) -> None:
        self._id, run = await self._agree(self._reader)
        await self._read_all()
        while not self._closing:
            await self._poll(run)
            if self._owed or self._board.latest > self._board.sequence:
                await self._settle()

    async def _agree(self, client: Any) -> tuple[int, str]:
        """Take over the board's id; the server begins a board if there is none, or one that may have lost purges."""
        known = Known(self._lost, _BEYOND, _BEYOND) if self._lost else self._known()
        name, run = await self._shared.agree(client, known)
        self._lost = 0
        if name != self._board.id:
            self._until = 0.0
            self._board.adopt(name)
        return name, run

    async def _read_all(self) -> None:
        """Learn the whole board."""
        last = self._checked(await self._shared.last(self._reader))
        async for cells in self._shared.cells(self._reader):
            self._board.learn(cells, 0)
        self._board.learn((), last)
        self._at = last

    async def _poll(self, run: str) -> None:
        """Hear what is new, or that nothing is; either makes the board trusted for another while."""
        known, asked = self._board.sequence, monotonic()
        now, mark, heard = await self._shared.hear(self._reader, self._at, _POLL)
        last = self._checked(mark)
        if self._board.id != self._id:
            self.lost()  # and another worker has noticed it
            raise AnotherBoard
        if last < known or now != run:
            raise AnotherBoard
        for told in heard:
            if told.after != self._at:
                break
            self._board.purge(told.slots, soft=told.soft, sequence=told.number)
            self._at = told.number
        if self._at >= last:
            self._until = asked + BOUND
            self._caught_up.set()
        elif not heard or self._at < heard[-1].number:
            await self._read_all()  # the stream does not reach back to where this worker was

    def _checked(self, last: Mark | None) -> int:
        """Return the last number, if it is of the board that was read so far."""
        if last is None or last.board != self._id:
            raise AnotherBoard
        return last.sequence

    async def _settle(self) -> None:
        """Tell the others what was purged here alone, and bring the shared number up to this host's."""
        owed = list(self._owed)
        for soft in (True, False):
            slots = [slot for slot, softly in owed if softly is soft]
            if slots or not soft:
                number = await self._tell(self._reader, slots, soft=soft)
                if not number:
                    raise AnotherBoard
                self._board.purge(slots, soft=soft, sequence=number)
        for each in owed:
            self._owed.pop(each, None)

    def _owe(self, slots: Iterable[int], *, soft: bool) -> None:
        for slot in slots:
            self._owed[slot, soft] = None
        if len(self._owed) > _MOST_OWED:
            self._owed = {(slot, False): None for slot in tag_slots("all")}

    async def _tell(self, client: Any, slots: Sequence[int], *, soft: bool) -> int:
        return await self._shared.purge(client, self._known(), slots, soft=soft)

    def _known(self) -> Known:
        # In this order: if another worker begins the board anew meanwhile, the numbers are too low, not too high.
        return Known(self._board.id, self._board.sequence, self._board.latest)
