"""The shared store: Redis or Valkey, never waited for longer than a moment."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from llmproxy.stores.backend import Backend, as_bytes
from llmproxy.stores.breaker import Breaker
from llmproxy.stores.guard import Guard
from llmproxy.stores.interface import StoreRefused
from llmproxy.stores.urls import StoreUrl, at_least
from llmproxy.units import parse_duration

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool, Redis

    from llmproxy.stores.redis_reserving import RedisReservations

T = TypeVar("T")

_SCAN: Final = 512
#: Seconds by which the client's own limits stand behind those of the guard, which knows when it was this process
#: that was late.
_BEHIND: Final = 1.0
_GLOB: Final = re.compile(rb"[*?\[\]\\^-]")

# Values travel as arguments, never in a script's text; milliseconds of 0 mean no end.
_SWAP: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
_COUNT: Final = """
local is_new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if is_new and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""


def make_redis(url: StoreUrl) -> RedisStore:
    """Make the store of ``redis://user:password@host:6379/0?prefix=x``.

    Also ``rediss``, ``valkey``, ``valkeys`` (TLS) and ``redis+unix:///run/redis.sock?db=0``, ``valkey+unix``.
    Options: prefix, timeout, connections, failures (in a row, before it is left alone), retry_after.
    """
    readers: dict[str, Callable[[str], Any]] = {
        "prefix": str.encode,
        "timeout": parse_duration,
        "connections": at_least(1),
        "failures": at_least(1),
        "retry_after": parse_duration,
    }
    if url.scheme.endswith("+unix"):
        readers["db"] = at_least(0)
    options = url.read(**readers)
    return RedisStore(str(url), _address(url, options.pop("db", 0)), **options)


class RedisStore(Backend):
    """Entries of a server that several machines share.

    Entries stand under `prefix` and ``=``, counters under `prefix` and ``#``, reservations under
    ``$``. `address` is what redis-py's connection takes. A call ends within `timeout` s whatever the server does,
    is never retried, and after `failures` in a row none is made for `retry_after` s.
    """

    NAME = "redis"

    def __init__(
        self,
        name: str,
        address: dict[str, Any],
        *,
        prefix: bytes = b"llmproxy:",
        timeout: float = 0.05,
        connections: int = 32,
        failures: int = 5,
        retry_after: float = 1.0,
    ) -> None:
        super().__init__(name)
        from redis.asyncio import Redis  # noqa: PLC0415  # an extra, imported when a store names it
        from redis.exceptions import ResponseError  # noqa: PLC0415

        if not timeout:
            raise ValueError(f"store {name} needs a timeout above 0, or a hung server hangs every request")
        #: What every key of this store begins with.
        self.prefix = prefix
        self._prefix = prefix + b"="
        self._address = address
        self._refusal = ResponseError
        self._client: Redis = Redis.from_pool(_make_pool(address, timeout + _BEHIND, connections))
        self._swap = self._client.register_script(_SWAP)
        self._release = self._client.register_script(_RELEASE)
        #: Seconds that a call may take, and that a server is left alone for after failures.
        self.timeout, self.retry_after = timeout, retry_after
        self._guard = self.guard(Breaker(failures, retry_after))
        self._counters = RedisCounters(self, prefix + b"#")
        self._reservations: RedisReservations | None = None

    @property
    def counters(self) -> RedisCounters:
        return self._counters

    @property
    def reservations(self) -> RedisReservations:
        """The limits that all who reach the server share."""
        from llmproxy.stores.redis_reserving import RedisReservations  # noqa: PLC0415  # not every gateway limits

        if self._reservations is None:
            self._reservations = RedisReservations(self)
        return self._reservations

    @property
    def client(self) -> Redis:
        """What makes commands of the engine's own, for `ask`."""
        return self._client

    def second_client(self, timeout: float) -> Redis:
        """Return a client beside the store's own, whose commands may take `timeout` s; its user closes it."""
        from redis.asyncio import Redis  # noqa: PLC0415  # an extra

        return Redis.from_pool(_make_pool(self._address, timeout, 1))

    def guard(self, breaker: Breaker) -> Guard:
        """Return bounds for calls, with a breaker of their own."""
        return Guard(self.name, self.timeout, breaker, answers=(self._refusal,))

    async def reconnect(self) -> None:
        """Let go of connections that wait for use, which may lead nowhere, and have a new one answer.

        Raises:
            StoreAway: it does not.
        """
        await self.ask_by(self.guard(Breaker(1, 0.0)), self._reconnect)

    async def ask(self, work: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call the server within the bounds; its refusal (out of memory, read only) is `StoreAway` too."""
        return await self.ask_by(self._guard, work, *args, **kwargs)

    async def ask_by(
        self, guard: Guard, work: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """Do as `ask` does, within the bounds of a guard."""
        try:
            return await guard.call(work, *args, **kwargs)
        except self._refusal as error:
            raise StoreRefused(f"store {self.name} refused: {type(error).__name__}") from error

    async def _reconnect(self) -> None:
        await self._client.connection_pool.disconnect(inuse_connections=False)
        await self._client.ping()

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return cast(bytes | None, await self.ask(self._client.get, self._prefix + key))

    async def _gets(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return await self._get(key)

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        if not keys:
            return []
        return cast(
            list[bytes | None], await self.ask(self._client.mget, [self._prefix + key for key in keys])
        )

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        if _cas_token is not None:
            args = [_cas_token, value, milliseconds(ttl) or 0]
            return bool(await self.ask(self._swap, keys=[self._prefix + key], args=args))
        if ttl is not None and ttl <= 0:
            await self._delete(key)
            return False
        return bool(await self.ask(self._client.set, self._prefix + key, value, px=milliseconds(ttl)))

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        pipe = self._client.pipeline(transaction=False)
        for key, value in pairs:
            _ = pipe.set(self._prefix + key, value, px=milliseconds(ttl))
        await self.ask(pipe.execute)
        return True

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        place = self._prefix + key
        if await self.ask(self._client.set, place, as_bytes(value), px=milliseconds(ttl), nx=True):
            return True
        raise ValueError("the key exists; use set to replace its value")

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        return int(await self.ask(self._client.delete, self._prefix + key))

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return bool(await self.ask(self._client.exists, self._prefix + key))

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        try:
            return int(await self._guard.call(self._client.incrby, self._prefix + key, delta))
        except self._refusal as error:
            if "not an integer" in str(error) or "WRONGTYPE" in str(error):
                raise TypeError("the stored value is not a whole number") from None
            raise StoreRefused(f"store {self.name} refused: {type(error).__name__}") from error

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        if ttl:
            return bool(await self.ask(self._client.pexpire, self._prefix + key, milliseconds(ttl)))
        await self.ask(self._client.persist, self._prefix + key)
        return await self._exists(key)

    async def _clear(self, namespace: str | bytes | None = None, _conn: object = None) -> bool:
        """Remove by scanning: the server, and its other keys, are not ours."""
        pattern = _GLOB.sub(rb"\\\g<0>", self._prefix + as_bytes(namespace or b"")) + b"*"
        cursor = -1
        while cursor:
            cursor, keys = await self.ask(self._client.scan, max(cursor, 0), match=pattern, count=_SCAN)
            if keys:
                await self.ask(self._client.unlink, *keys)
        return True

    async def _redlock_release(self, key: bytes, value: str | bytes) -> int:
        return int(await self.ask(self._release, keys=[self._prefix + key], args=[as_bytes(value)]))

    async def _close(self, *_: object, **__: object) -> None:
        if self._reservations is not None:
            await self._reservations.close()
        await self._client.aclose()
        # Transports close in the loop's next turn; without it they are reported as left open.
        await asyncio.sleep(0)


class RedisCounters:
    """Counters of a server: one script an addition, on the server's own clock."""

    def __init__(self, store: RedisStore, prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix
        self._count = store._client.register_script(_COUNT)

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        args = [by, milliseconds(ttl) or 0]
        return int(await self._store.ask(self._count, keys=[self._prefix + key], args=args))

    async def get_counter(self, key: bytes) -> int:
        return int(await self._store.ask(self._store._client.get, self._prefix + key) or 0)


def milliseconds(ttl: float | None) -> int | None:
    """Return a lifetime as the server takes it: at least one millisecond, None for no end."""
    return None if ttl is None else max(1, int(ttl * 1000))


def _make_pool(address: dict[str, Any], timeout: float, connections: int) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415  # an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return BlockingConnectionPool(
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,  # no push messages: the third protocol only adds a round trip to each connection
        **address,
    )


def _address(url: StoreUrl, unix_db: int) -> dict[str, Any]:
    """Return redis-py's connection arguments for the URL."""
    try:
        from redis.asyncio import SSLConnection, UnixDomainSocketConnection  # noqa: PLC0415  # an extra
    except ImportError:
        raise ValueError(
            f"a {url.scheme}:// store needs the extra: pip install 'llmproxy-gateway[redis]'"
        ) from None

    address: dict[str, Any] = {}
    if url.username:
        address["username"] = url.username
    if url.password:
        address["password"] = url.password
    if url.scheme.endswith("+unix"):
        url.refuse_parts("host", "port")
        return address | {
            "connection_class": UnixDomainSocketConnection,
            "path": url.path,
            "db": unix_db,
        }
    db = url.path.strip("/") or "0"
    if not (db.isascii() and db.isdigit()):
        raise ValueError(f"the path of store {url} is a database number, as in 'redis://host:6379/0'")
    if url.scheme in ("rediss", "valkeys"):
        address["connection_class"] = SSLConnection
    return address | {"host": url.host or "localhost", "port": url.port or 6379, "db": int(db)}
