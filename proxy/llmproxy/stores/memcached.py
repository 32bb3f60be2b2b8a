"""The shared store in Memcached: entries, neither counted in nor cleared."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from math import ceil
from typing import Any, Final

from llmproxy.stores.backend import Backend, as_bytes, whole_number
from llmproxy.stores.breaker import Breaker
from llmproxy.stores.guard import Guard
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.shelf import ends_at, now_us
from llmproxy.stores.urls import StoreUrl, at_least
from llmproxy.units import parse_duration, parse_size

# Before each value: its end of life, microseconds since the epoch, 0 for none. The server counts whole seconds.
_ENDS: Final = struct.Struct(">Q")
_ITEM: Final = 512  # key, header and what the server adds, of the largest item
_MONTH: Final = 30 * 86400  # a longer life is written as the time of its end
_LATEST: Final = 2**31 - 1
_TRIES: Final = 16  # to change a value that others are changing
_SAME: Final = -1.0  # the lifetime stays
_PREFIX: Final = re.compile(r"[!-~]{0,100}")


def make_memcached(url: StoreUrl) -> MemcachedStore:
    """Make the store of ``memcached://host:11211?prefix=x``.

    Options: prefix, timeout, connections, max_value (the server's -I), failures (in a row, before it is left
    alone), retry_after.
    """
    url.refuse_parts("path", "username", "password")
    options = url.read(
        prefix=_prefix,
        timeout=parse_duration,
        connections=at_least(1),
        max_value=parse_size,
        failures=at_least(1),
        retry_after=parse_duration,
    )
    breaker = Breaker(options.pop("failures", 5), options.pop("retry_after", 1.0))
    return MemcachedStore(str(url), (url.host or "127.0.0.1", url.port or 11211), breaker, **options)


class MemcachedStore(Backend):
    """Entries of a server that several machines share, under `prefix` and a digest of their keys.

    A call ends within `timeout` s and is never retried; none is made while `breaker` is open.
    The server cannot list keys, so it cannot be cleared; it evicts what it likes, so it keeps no counters.
    """

    NAME = "memcached"

    def __init__(
        self,
        name: str,
        address: tuple[str, int],
        breaker: Breaker,
        *,
        prefix: bytes = b"llmproxy:",
        timeout: float = 0.05,
        connections: int = 8,
        max_value: int = 1 << 20,
    ) -> None:
        super().__init__(name)
        try:
            from llmproxy.stores.memcached_client import Client, Refusal  # noqa: PLC0415  # an extra
        except ImportError:
            raise ValueError(
                "a memcached:// store needs the extra: pip install 'llmproxy-gateway[memcached]'"
            ) from None
        if not timeout:
            raise ValueError(f"store {name} needs a timeout above 0, or a hung server hangs every request")
        self._prefix = prefix
        self._largest = max_value - _ITEM
        self._client = Client(*address, pool_size=connections)
        self._refusal = Refusal
        self._guard = Guard(name, timeout, breaker, answers=(Refusal,))

    async def _ask(self, work: Callable[..., Awaitable[Any]], key: bytes, *args: Any) -> Any:
        try:
            return await self._guard.call(work, self._place(key), *args)
        except self._refusal as error:
            raise StoreAway(f"store {self.name} refused: {type(error).__name__}") from error

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return _alive(await self._ask(self._client.get, key))[0]

    _gets = _get

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        if not keys:
            return []
        places = {key: self._place(key) for key in keys}
        found = await self._ask(lambda _, *each: self._client.multi_get(*each), keys[0], *places.values())
        values = dict(zip(places, found, strict=True))
        return [_alive(values[key])[0] for key in keys]

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        if _cas_token is not None:
            return (
                await self._change(key, lambda held: value if held == _cas_token else None, ttl) is not None
            )
        if len(value) > self._largest or (ttl is not None and ttl <= 0):
            await self._ask(self._client.delete, key)
            return False
        return bool(await self._ask(self._client.set, key, *_item(value, ttl)))

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        for key, value in pairs:
            await self._set(key, value, ttl)
        return True

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        item = _item(as_bytes(value), ttl)
        if await self._ask(self._client.add, key, *item):
            return True
        data, token = await self._ask(self._client.gets, key)
        # What has ended stands until the server's second is over.
        ended = data is not None and _alive(data)[0] is None
        if ended and await self._ask(self._client.cas, key, item[0], token, item[1]):
            return True
        raise ValueError("the key exists; use set to replace its value")

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        held = await self._get(key)
        return int(bool(await self._ask(self._client.delete, key)) and held is not None)

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return await self._get(key) is not None

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        for _ in range(_TRIES):
            total = await self._change(key, lambda held: b"%d" % (whole_number(held) + delta))
            if total is not None:
                return int(total)
            try:
                await self._add(key, b"%d" % delta)
                return delta
            except ValueError:
                continue
        raise StoreAway(f"store {self.name}: others change the value all the time")

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        return await self._change(key, lambda held: held, ttl or None) is not None

    async def _redlock_release(self, key: bytes, value: str | bytes) -> int:
        # The server deletes without a condition, so what is there ends at once.
        wanted = as_bytes(value)
        return int(await self._change(key, lambda held: b"" if held == wanted else None, 1e-6) is not None)

    async def _close(self, *_: object, **__: object) -> None:
        await self._client.close()
        await asyncio.sleep(0)

    async def _change(
        self, key: bytes, change: Callable[[bytes], bytes | None], ttl: float | None = _SAME
    ) -> bytes | None:
        """Put what `change` makes of the live value in its place, and return it; None if nothing was changed."""
        for _ in range(_TRIES):
            data, token = await self._ask(self._client.gets, key)
            held, ends = _alive(data)
            value = None if held is None else change(held)
            if value is None:
                return None
            left = (ends - now_us()) / 1_000_000 if ends else None
            item = _item(value, left if ttl == _SAME else ttl)
            if await self._ask(self._client.cas, key, item[0], token, item[1]):
                return value
        raise StoreAway(f"store {self.name}: others change the value all the time")

    def _place(self, key: bytes) -> bytes:
        """Return the key as the server takes it: 250 printable characters at most."""
        return self._prefix + blake2b(key, digest_size=32).hexdigest().encode()


def _item(value: bytes, ttl: float | None) -> tuple[bytes, int]:
    """Return what is stored for a value, and when the server may forget it."""
    now = now_us()
    data = _ENDS.pack(ends_at(ttl, now)) + value
    if ttl is None:
        return data, 0
    seconds = ceil(ttl) + 1  # the server's second may be nearly over
    return data, seconds if seconds < _MONTH else min(now // 1_000_000 + seconds, _LATEST)


def _alive(data: bytes | None) -> tuple[bytes | None, int]:
    """Return the live value and its end of life."""
    if data is None or len(data) < _ENDS.size:
        return None, 0
    (ends,) = _ENDS.unpack_from(data)
    return (None, 0) if 0 < ends <= now_us() else (data[_ENDS.size :], ends)


def _prefix(text: str) -> bytes:
    if not _PREFIX.fullmatch(text):
        raise ValueError("at most 100 printable characters without spaces")
    return text.encode()
