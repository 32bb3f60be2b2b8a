"""Reservations on a Redis or Valkey server: one script a call, on the server's own clock.

All that belongs to a tag stands in two hashes and a sorted set, which share the tag as their hash slot: rows and
reservations by name, and marks by their times, as `reserved_rows` has them. Numbers are exact below 2**53.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.stores.interface import StoreAway, StoreRefused
from llmproxy.stores.reserving import RATE, Claim, Limit, Standing, Verdict
from llmproxy.stores.vigil import Vigil
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.stores.redis import RedisStore

_encode = msgspec.msgpack.Encoder().encode

_COMMON: Final = """
local rows, helds, marks = KEYS[1], KEYS[2], KEYS[3]
local given = cmsgpack.unpack(ARGV[1])
local now = given.now
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function unpacked(hash, name)
  local data = redis.call('HGET', hash, name)
  return data and cmsgpack.unpack(data) or nil
end
local function put(hash, name, value) redis.call('HSET', hash, name, cmsgpack.pack(value)) end
local function mark(at, what) redis.call('ZADD', marks, string.format('%.0f', at), what) end
local function set(item, amount)
  local kind, key, bucket, taken = unpack(item)
  local row = unpacked(rows, key)
  if not row then return end
  if kind == 2 then
    row[2] = row[2] - taken
    if row[2] <= 0 then redis.call('HDEL', rows, key) return end
  else
    for at = 2, #row, 2 do
      if row[at] == bucket then row[at + 1] = math.max(0, row[at + 1] + amount - taken) end
    end
  end
  put(rows, key, row)
end
local function sweep_row(name, what)
  local row = unpacked(rows, name)
  if not row then return end
  if row[1] > now then mark(row[1], what) else redis.call('HDEL', rows, name) end
end
local function sweep_held(name, what)
  local held = unpacked(helds, name)
  if not held then return end
  if held[1] > now then mark(held[1], what) return end
  for _, item in ipairs(held[3]) do set(item, held[2] and item[4] or 0) end
  redis.call('HDEL', helds, name)
end
for _, what in ipairs(redis.call('ZRANGEBYSCORE', marks, '-inf', string.format('%.0f', now), 'LIMIT', 0, 64)) do
  redis.call('ZREM', marks, what)
  local sweep = string.sub(what, 1, 1) == 'r' and sweep_row or sweep_held
  sweep(string.sub(what, 2), what)
end
"""

# A want: kind, key, amount, whether it may refuse, and the limit's numbers. What comes back: granted, then three a want.
_RESERVE: Final = (
    _COMMON
    + """
local function month(at)
  local z = math.floor(at / 86400000000) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local m = mp < 10 and mp + 3 or mp - 9
  return (yoe + era * 400 + (m <= 2 and 1 or 0) - 1970) * 12 + m - 1
end
local function month_start(number)
  local y, m = 1970 + math.floor(number / 12), number % 12 + 1
  if m <= 2 then y = y - 1 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (m > 2 and m - 3 or m + 9) + 2) / 5)
  local doe = yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy
  return (era * 146097 + doe - 719468) * 86400000000
end
local function rate(row, amount, limit, period, burst)
  local debt = row and math.max(0, row[2] - math.max(0, now - row[3]) * limit) or 0
  local room, wanted = burst * period, debt + amount * period
  local ok, wait = wanted <= room, -1
  if ok then wait = math.ceil(wanted / limit)
  elseif amount <= burst then wait = math.ceil((wanted - room) / limit) end
  local left = math.floor(math.max(0, room - (ok and wanted or debt)) / period)
  return ok, left, wait, {now + math.ceil(wanted / limit) + 1000000, wanted, now}, 0
end
local function window(row, amount, limit, step, anchor, keep)
  local bucket = step > 0 and math.floor((now - anchor) / step) or month(now)
  local function starts(number) return step > 0 and number * step + anchor or month_start(number) end
  local live, used, found = {}, 0, false
  for at = 2, row and #row or 0, 2 do
    if row[at] > bucket - keep then
      live[#live + 1] = {row[at], row[at + 1]}
      used = used + row[at + 1]
    end
  end
  local ok, wait = used + amount <= limit, -1
  if ok then wait = starts(bucket + keep) - now
  else
    table.sort(live, function(a, b) return a[1] < b[1] end)
    local wanted = used + amount
    for _, each in ipairs(live) do
      wanted = wanted - each[2]
      if wanted <= limit then wait = starts(each[1] + keep) - now break end
    end
  end
  local new = {starts(bucket + keep) + 1000000}
  for _, each in ipairs(live) do
    if each[1] == bucket then each[2] = each[2] + amount found = true end
    new[#new + 1] = each[1]
    new[#new + 1] = each[2]
  end
  if not found then new[#new + 1] = bucket new[#new + 1] = amount end
  return ok, math.max(0, limit - used - (ok and amount or 0)), wait, new, bucket
end
local function lease(row, amount, limit)
  local held = row and row[2] or 0
  local ok = held + amount <= limit
  return ok, math.max(0, limit - held - (ok and amount or 0)), ok and 0 or 1000000, {0, held + amount}, 0
end
local take = {[0] = rate, window, lease}
local again = given.lasting and redis.call('HEXISTS', helds, given.id) == 1
local granted, told, new, items = true, {0}, {}, {}
for _, want in ipairs(given.wants) do
  local kind, key, amount, refuses = unpack(want)
  local row = unpacked(rows, key)
  local ok, left, wait, taken, bucket = take[kind](row, again and 0 or amount, unpack(want, 5))
  if refuses and not ok then granted = false end
  told[#told + 1] = ok and 1 or 0
  told[#told + 1] = left
  told[#told + 1] = wait
  new[#new + 1] = {key, taken, kind ~= 2 and not row}
  if kind ~= 0 then items[#items + 1] = {kind, key, bucket, amount} end
end
if granted and not again then
  for _, each in ipairs(new) do
    put(rows, each[1], each[2])
    if each[3] then mark(each[2][1], 'r' .. each[1]) end
  end
  if #items > 0 then
    put(helds, given.id, {now + given.ttl, given.keeps, items})
    mark(now + given.ttl, 'h' .. given.id)
  end
end
if granted or again then told[1] = 1 end
return told
"""
)

# With `ahead` (microseconds) a claim that is not there takes nothing if it comes after all, for so long.
_SETTLE: Final = (
    _COMMON
    + """
local held = unpacked(helds, given.id)
if not held then
  if given.ahead > 0 then
    put(helds, given.id, {now + given.ahead, false, {}})
    mark(now + given.ahead, 'h' .. given.id)
  end
  return 0
end
for at, item in ipairs(held[3]) do set(item, given.actual[at]) end
redis.call('HDEL', helds, given.id)
redis.call('ZREM', marks, 'h' .. given.id)
return 1
"""
)

_RENEW: Final = (
    _COMMON
    + """
local there = 0
for _, each in ipairs(given.claims) do
  local held = unpacked(helds, each[1])
  if held then
    there = there + 1
    held[1] = math.max(held[1], now + each[2])
    put(helds, each[1], held)
  end
end
return there
"""
)

#: Reservations renewed by one call: the server serves nobody else meanwhile.
_BATCH: Final = 200
#: Claims in doubt at a time; each is a call that was under way when the store went away, or whose caller left.
_DOUBTS: Final = 10_000
#: Seconds until a claim in doubt is withdrawn again.
_PAUSE: Final = 0.1


class RedisReservations:
    """Reservations beside a store's entries, under its prefix and ``$``; `clock` is for tests."""

    def __init__(self, store: RedisStore, clock: Callable[[], int] | None = None) -> None:
        self._store = store
        self._clock = clock
        register = store.client.register_script
        self._reserve, self._settle, self._renew = register(_RESERVE), register(_SETTLE), register(_RENEW)
        self._vigil = Vigil(store.reconnect, store.timeout, store.retry_after)
        self._guard = store.guard(self._vigil)
        self._doubts = Doubts(self._withdraw)

    async def reserve(self, claim: Claim) -> Verdict:
        asked = not self._vigil.away
        try:
            told = await self._ask(self._reserve, claim.tag, **_told(claim))
        except StoreRefused:
            raise
        except (StoreAway, asyncio.CancelledError):
            if asked and claim.lasting:
                self._doubts.add(claim)
            raise
        standings = [Standing(told[at] == 1, told[at + 1], told[at + 2]) for at in range(1, len(told), 3)]
        return Verdict(told[0] == 1, tuple(standings))

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        came = [amount for want, amount in zip(claim.wants, actual, strict=True) if want.limit.kind != RATE]
        return bool(await self._ask(self._settle, claim.tag, id=_text(claim.id), actual=came, ahead=0))

    async def renew(self, claims: Sequence[Claim]) -> int:
        by_tag: dict[bytes, list[tuple[str, int]]] = {}
        for claim in claims:
            by_tag.setdefault(claim.tag, []).append((_text(claim.id), claim.ttl))
        there = 0
        for tag, each in by_tag.items():
            for at in range(0, len(each), _BATCH):
                there += await self._ask(self._renew, tag, claims=each[at : at + _BATCH])
        return there

    async def close(self) -> None:
        """Give back what is in doubt, if the store is there; ask no more."""
        await self._doubts.close()
        await self._vigil.close()

    async def _withdraw(self, claim: Claim) -> None:
        """Give back what a claim took, or will take when it arrives."""
        came = [0 for want in claim.wants if want.limit.kind != RATE]
        await self._ask(self._settle, claim.tag, id=_text(claim.id), actual=came, ahead=claim.ttl)

    async def _ask(self, script: Any, tag: bytes, **given: Any) -> Any:
        given["now"] = 0 if self._clock is None else self._clock()
        # The tag stands in braces, and closes none of its own: then all three keys are in one slot of a cluster.
        place = self._store.prefix + b"${" + tag.replace(b"%", b"%25").replace(b"}", b"%7D") + b"}"
        keys = [place + b"rows", place + b"held", place + b"marks"]
        return await self._store.ask_by(self._guard, script, keys=keys, args=[_encode(given)])


class Doubts:
    """Claims of which nobody knows whether they were taken, until `withdraw` has been heard of each.

    The caller left, or the answer did not come in time: what was taken would stay so, or be taken when a store that
    hung goes on. `lost` counts those that are forgotten because there are too many.
    """

    def __init__(self, withdraw: Callable[[Claim], Awaitable[None]]) -> None:
        self._withdraw = withdraw
        self._claims: dict[tuple[bytes, bytes], Claim] = {}
        self._working: asyncio.Task[None] | None = None
        self.lost = 0

    def add(self, claim: Claim) -> None:
        """Withdraw a claim as soon as the store is there."""
        if len(self._claims) >= _DOUBTS:
            self.lost += 1
            return
        self._claims[claim.tag, claim.id] = claim
        if self._working is None or self._working.done():
            self._working = spawn(self._work(), name="withdraw claims")

    async def close(self) -> None:
        """Stop, within a moment."""
        if self._working is not None:
            await asyncio.wait([self._working], timeout=_PAUSE)
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        while self._claims:
            place, claim = next(iter(self._claims.items()))
            try:
                await self._withdraw(claim)
            except StoreAway:
                await asyncio.sleep(_PAUSE)
            else:
                del self._claims[place]


def _told(claim: Claim) -> dict[str, Any]:
    """Return a claim as the script takes it."""
    wants = [
        (
            want.limit.kind,
            _text(want.limit.key),
            want.amount,
            want.mode != "shadow",
            *_numbers(want.limit),
        )
        for want in claim.wants
    ]
    return {
        "id": _text(claim.id),
        "ttl": claim.ttl,
        "keeps": claim.keeps,
        "lasting": claim.lasting,
        "wants": wants,
    }


def _text(name: bytes) -> str:
    """Return a name as text, which is all that the script's decoder takes besides numbers."""
    return name.decode("latin-1")


def _numbers(limit: Limit) -> tuple[int, ...]:
    """Return a limit's own numbers, between its key and its kind."""
    return limit[1:-1]
