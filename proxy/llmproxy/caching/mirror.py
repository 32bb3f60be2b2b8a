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
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import structlog

from llmproxy.caching.board import Board, Cell, Verdict, cells_of, new_id
from llmproxy.caching.entry import Mark
from llmproxy.caching.tags import tag_slots
from llmproxy.stores.interface import StoreAway
from llmproxy.tasks import spawn

#: Seconds after which every host obeys a purge that any of them has answered, or serves nothing from its store.
BOUND: Final = 1.0

_POLL: Final = BOUND / 4
_LONGEST_PAUSE: Final = 0.4
_STREAM: Final = 10_000
_BATCH: Final = 500
_MOST_OWED: Final = 4096

_RUN: Final = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''"
# The id that the board has from now on: a new one if it is of another run, or its last number is below a known one.
_AGREE: Final = f"""
{_RUN}
local id, seq, of = unpack(redis.call('HMGET', KEYS[1], 'id', 'seq', 'run'))
if id and (of ~= run or (id == ARGV[2] and tonumber(seq) < tonumber(ARGV[3]))) then id = false end
if not id then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'seq', '1', 'run', run)
  id = ARGV[1]
end
return {{id, run}}
"""
# A cell holds the number of its last purge; with that of its last hard one after a semicolon if that is another.
_PURGE: Final = f"""
{_RUN}
local id, seq, of = unpack(redis.call('HMGET', KEYS[1], 'id', 'seq', 'run'))
if id ~= ARGV[1] or of ~= run or tonumber(seq) < tonumber(ARGV[2]) then return 0 end
local last = tonumber(seq)
local number = string.format('%d', math.max(last, tonumber(ARGV[3])) + 1)
for i = 7, #ARGV do
  local value = number
  if ARGV[5] == '1' then
    local held = redis.call('HGET', KEYS[1], ARGV[i])
    value = number .. ';' .. (held and string.match(held, '%d+$') or '0')
  end
  redis.call('HSET', KEYS[1], ARGV[i], value)
end
redis.call('HSET', KEYS[1], 'seq', number)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], number .. '-0', 'after', string.format('%d', last),
  'soft', ARGV[5], 'slots', ARGV[6])
return tonumber(number)
"""

_log = structlog.get_logger("llmproxy")


@runtime_checkable
class SharedServer(Protocol):
    """A store on a server that other hosts reach too."""

    @property
    def prefix(self) -> bytes:
        """What every key of this store begins with."""

    @property
    def client(self) -> Any:
        """What makes commands, for `ask`."""

    async def ask(self, work: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Await a command within the store's bounds; raise `StoreAway` if it cannot be answered."""

    def second_client(self, timeout: float) -> Any:
        """Return a client whose commands may take that many seconds; its user closes it."""


class Purged(NamedTuple):
    """A purge's number, and whether every host knows of it; if not, this one obeys it and the others will."""

    number: int
    everywhere: bool = True


class _AnotherBoard(Exception):
    """The server has a board that is not the one that was read so far."""


class Mirror:
    """Keeps a board like those of the other hosts, from `start` to `close`."""

    def __init__(self, board: Board, server: SharedServer, name: str = "") -> None:
        self._board = board
        self._server = server
        self._name = name
        self._keys = [server.prefix + b"!{board}", server.prefix + b"!{board}:purges"]
        self._reader = server.second_client(2 * BOUND)
        self._agreement = server.client.register_script(_AGREE)
        self._order = server.client.register_script(_PURGE)
        self._id = 0
        self._server_run = ""
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
        try:
            name, last = await self._server.ask(self._server.client.hmget, self._keys[0], "id", "seq")
        except StoreAway:
            return self._board.now()
        # Without the server the mark is an older one, so the entry is purged with more than it need be.
        return Mark(int(name), int(last)) if name and last else self._board.now()

    async def judge(self, mark: Mark, slots: Sequence[int]) -> Verdict:
        """Say what the server's own board says of an entry.

        Raises:
            StoreAway: it says nothing.
        """
        pairs = [cells_of(slot) for slot in slots]
        fields = dict.fromkeys(cell for pair in pairs for cell in pair)
        held = await self._server.ask(self._server.client.hmget, self._keys[0], "id", *fields)
        if held[0] is None or int(held[0]) != mark.board:
            return Verdict.PURGED
        cells = {cell: _cell(cell, value) for cell, value in zip(fields, held[1:], strict=True) if value}
        verdict = Verdict.GOOD
        for first, second in pairs:
            found = [cells[each] for each in (first, second) if each in cells]
            if len(found) == 2 and min(cell.any for cell in found) > mark.sequence:
                if min(cell.hard for cell in found) > mark.sequence:
                    return Verdict.PURGED
                verdict = Verdict.SOFT
        return verdict

    async def purge(self, slots: Iterable[int], *, soft: bool = False) -> Purged:
        """Purge for all hosts, and here at once; for this host alone, and later for the others, without the server."""
        wanted = list(slots)
        client, ask = self._server.client, self._server.ask
        try:
            number = await ask(self._tell, client, wanted, soft=soft)
            if not number:
                await ask(self._agree, client)
                number = await ask(self._tell, client, wanted, soft=soft)
        except StoreAway:
            number = 0
        if number:
            return Purged(self._board.purge(wanted, soft=soft, sequence=number))
        self._owe(wanted, soft=soft)
        return Purged(self._board.purge(wanted, soft=soft, alone=True), everywhere=False)

    # What keeps it so.

    def start(self) -> None:
        """Begin to follow the other hosts' purges, whatever happens to the connection."""
        self._task = spawn(self._run(), name="purge-mirror")

    async def _run(self) -> None:
        pause = 0.0
        while not self._closing:
            try:
                await self._follow()
            except _AnotherBoard:
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
        self._id, self._server_run = await self._agree(self._reader)
        await self._read_all()
        while not self._closing:
            await self._poll()
            if self._owed or self._board.latest > self._board.sequence:
                await self._settle()

    async def _agree(self, client: Any) -> tuple[int, str]:
        """Take over the board's id, or begin a board if there is none, or one that may have lost purges."""
        known = [str(new_id()), str(self._board.id), str(self._board.sequence)]
        name, run = await self._agreement(keys=self._keys, args=known, client=client)
        if int(name) != self._board.id:
            self._until = 0.0
            self._board.adopt(int(name))
        return int(name), run.decode()

    async def _read_all(self) -> None:
        """Learn the whole board."""
        name, last = await self._reader.hmget(self._keys[0], "id", "seq")
        self._check(name)
        cursor = -1
        while cursor:
            cursor, fields = await self._reader.hscan(self._keys[0], max(cursor, 0), count=_BATCH)
            cells = [_cell(int(field), value) for field, value in fields.items() if field.isdigit()]
            self._board.learn(cells, 0)
        self._board.learn((), int(last))
        self._at = int(last)

    async def _poll(self) -> None:
        """Hear what is new, or that nothing is; either makes the board trusted for another while."""
        known, asked = self._board.sequence, monotonic()
        pipe = self._reader.pipeline(transaction=False)
        pipe.info("server")
        pipe.hmget(self._keys[0], "id", "seq")
        pipe.xread({self._keys[1]: f"{self._at}-0"}, count=_BATCH, block=int(_POLL * 1000))
        told, (name, last), heard = await pipe.execute()
        self._check(name)
        if int(last) < known or told["run_id"] != self._server_run:
            raise _AnotherBoard
        whole = all(self._apply(number, fields) for number, fields in (heard[0][1] if heard else ()))
        if not whole or (not heard and self._at < int(last)):
            await self._read_all()  # the stream does not reach back to where this worker was
        if self._at >= int(last):
            self._until = asked + BOUND
            self._caught_up.set()

    def _check(self, name: bytes | None) -> None:
        if name is None or int(name) != self._id:
            raise _AnotherBoard

    def _apply(self, number: bytes, fields: dict[bytes, bytes]) -> bool:
        """Obey another host's purge; False if one before it is missing."""
        if int(fields[b"after"]) != self._at:
            return False
        sequence = int(number.partition(b"-")[0])
        packed = fields[b"slots"]
        slots = struct.unpack(f"<{len(packed) // 4}I", packed)
        self._board.purge(slots, soft=fields[b"soft"] == b"1", sequence=sequence)
        self._at = sequence
        return True

    async def _settle(self) -> None:
        """Tell the others what was purged here alone, and bring the shared number up to this host's."""
        owed = list(self._owed)
        for soft in (True, False):
            slots = [slot for slot, softly in owed if softly is soft]
            if slots or not soft:
                number = await self._tell(self._reader, slots, soft=soft)
                if not number:
                    raise _AnotherBoard
                self._board.purge(slots, soft=soft, sequence=number)
        for each in owed:
            self._owed.pop(each, None)

    def _owe(self, slots: Iterable[int], *, soft: bool) -> None:
        for slot in slots:
            self._owed[slot, soft] = None
        if len(self._owed) > _MOST_OWED:
            self._owed = {(slot, False): None for slot in tag_slots("all")}

    async def _tell(self, client: Any, slots: Sequence[int], *, soft: bool) -> int:
        """Have the server number a purge and tell everybody; 0 if its board is another, or has lost numbers."""
        board = self._board
        cells = dict.fromkeys(cell for slot in slots for cell in cells_of(slot))
        packed = struct.pack(f"<{len(slots)}I", *slots)
        own = [str(board.id), str(board.sequence), str(board.latest), str(_STREAM), str(int(soft)), packed]
        return int(await self._order(keys=self._keys, args=[*own, *cells], client=client))


def _cell(place: int, value: bytes) -> Cell:
    latest, _, hard = value.partition(b";")
    return Cell(place, int(latest), int(hard or latest))
