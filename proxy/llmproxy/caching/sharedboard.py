"""The purge board that several hosts share, as it stands on a Redis or Valkey server.

A hash holds the board's id, its last number, the run of the server that it was begun in, and the cells that were ever
purged. A stream holds the last purges, each under its number and with the number before it.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol, cast, runtime_checkable

from llmproxy.caching.board import Cell, Verdict, cells_of, new_id
from llmproxy.caching.entry import Mark

#: Purges that the stream keeps; who has missed more reads the cells.
STREAM: Final = 10_000

_BATCH: Final = 500
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


def shared_server(store: object) -> SharedServer | None:
    """Return the server that a store keeps its entries on, behind a tier at hand and a seal; None if it is on none."""
    far = getattr(store, "far", store)
    engine = getattr(far, "inner", far)
    return engine if isinstance(engine, SharedServer) else None


async def next_message(pubsub: Any, seconds: float) -> bytes | None:
    """Return what comes next on the channels that are listened to; None if nothing came, and the server is there.

    It waits so many seconds, twice. Raises ConnectionError if the server does not answer.
    """
    message = await pubsub.get_message(timeout=seconds)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=seconds)
    if message is None:
        raise ConnectionError("the server does not answer")
    return cast("bytes", message["data"]) if message["type"] == "message" else None


class AnotherBoard(Exception):
    """The server has a board that is not the one that was read so far."""


class Known(NamedTuple):
    """What a host knows of the board: its id, the last number that came from the server, the latest of its own."""

    board: int
    sequence: int
    latest: int


class Told(NamedTuple):
    """A purge out of the stream: its number, the number before it, and what it purged."""

    number: int
    after: int
    slots: tuple[int, ...]
    soft: bool


class SharedBoard:
    """Commands to the server; the first argument of each is the client that sends it."""

    def __init__(self, server: SharedServer) -> None:
        self._hash = server.prefix + b"!{board}"
        self._stream = server.prefix + b"!{board}:purges"
        self._agreement = server.client.register_script(_AGREE)
        self._order = server.client.register_script(_PURGE)

    async def agree(self, client: Any, known: Known) -> tuple[int, str]:
        """Return the board's id and the server's run; a new id if there was none, or it may have lost purges."""
        args = [str(new_id()), str(known.board), str(known.sequence)]
        name, run = await self._agreement(keys=[self._hash, self._stream], args=args, client=client)
        return int(name), run.decode()

    async def purge(self, client: Any, known: Known, slots: Sequence[int], *, soft: bool) -> int:
        """Number a purge and tell everybody; 0 if the board is another, or has lost numbers."""
        cells = dict.fromkeys(cell for slot in slots for cell in cells_of(slot))
        packed = struct.pack(f"<{len(slots)}I", *slots)
        args = [*map(str, known), str(STREAM), str(int(soft)), packed, *cells]
        return int(await self._order(keys=[self._hash, self._stream], args=args, client=client))

    async def last(self, client: Any) -> Mark | None:
        """Return the board's id and last number, None if there is no board."""
        return _mark(await client.hmget(self._hash, "id", "seq"))

    async def judge(self, client: Any, mark: Mark, slots: Iterable[int]) -> Verdict:
        """Say of an entry what a board says that has heard of every purge."""
        pairs = [cells_of(slot) for slot in slots]
        fields = dict.fromkeys(cell for pair in pairs for cell in pair)
        name, *values = await client.hmget(self._hash, "id", *fields)
        if name is None or int(name) != mark.board:
            return Verdict.PURGED
        cells = {cell: _cell(cell, value) for cell, value in zip(fields, values, strict=True) if value}
        verdict = Verdict.GOOD
        for pair in pairs:
            held = [cells[each] for each in pair if each in cells]
            if len(held) == 2 and min(cell.any for cell in held) > mark.sequence:
                if min(cell.hard for cell in held) > mark.sequence:
                    return Verdict.PURGED
                verdict = Verdict.SOFT
        return verdict

    async def cells(self, client: Any) -> AsyncIterator[list[Cell]]:
        """Give all cells that were ever purged, in batches."""
        cursor = -1
        while cursor:
            cursor, fields = await client.hscan(self._hash, max(cursor, 0), count=_BATCH)
            yield [_cell(int(field), value) for field, value in fields.items() if field.isdigit()]

    async def hear(self, client: Any, at: int, seconds: float) -> tuple[str, Mark | None, list[Told]]:
        """Wait so long for purges after a number; return the server's run, what was last before, and the purges."""
        pipe = client.pipeline(transaction=False)
        pipe.info("server")
        pipe.hmget(self._hash, "id", "seq")
        pipe.xread({self._stream: f"{at}-0"}, count=_BATCH, block=int(seconds * 1000))
        told, last, heard = await pipe.execute()
        return str(told["run_id"]), _mark(last), [_told(*each) for each in (heard[0][1] if heard else ())]


def _mark(values: Sequence[bytes | None]) -> Mark | None:
    name, last = values
    return None if name is None or last is None else Mark(int(name), int(last))


def _cell(place: int, value: bytes) -> Cell:
    latest, _, hard = value.partition(b";")
    return Cell(place, int(latest), int(hard or latest))


def _told(number: bytes, fields: dict[bytes, bytes]) -> Told:
    packed = fields[b"slots"]
    slots = cast("tuple[int, ...]", struct.unpack(f"<{len(packed) // 4}I", packed))
    return Told(int(number.partition(b"-")[0]), int(fields[b"after"]), slots, fields[b"soft"] == b"1")
