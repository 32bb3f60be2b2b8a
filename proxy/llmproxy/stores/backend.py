"""What our stores share as aiocache backends: bytes in and out, no timeout on what is local."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

from aiocache.base import SENTINEL, BaseCache
from aiocache.serializers import BaseSerializer

from llmproxy.stores.interface import Counters, StoreAway


class Expect(Enum):
    """What a conditional write may expect besides a value (bytes) or its absence (None)."""

    ANYTHING = "anything"


ANYTHING: Final = Expect.ANYTHING


def as_bytes(value: object) -> bytes:
    """Return `value` as stored: bytes as they are, text in UTF-8 (aiocache's own locks pass text)."""
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytearray | memoryview | bytes):
        return bytes(value)
    raise TypeError(f"a store keeps bytes, not {type(value).__name__!r}")


def join_key(key: str | bytes, namespace: str | bytes | None = None) -> bytes:
    """Put the namespace before the key."""
    return as_bytes(key) if namespace is None else as_bytes(namespace) + as_bytes(key)


class BytesSerializer(BaseSerializer):  # type: ignore[misc]  # aiocache has no types
    """Pass bytes through, and nothing else: no pickle, no encoding."""

    DEFAULT_ENCODING = None

    def dumps(self, value: object) -> bytes:
        return as_bytes(value)

    def loads(self, value: bytes | None) -> bytes | None:
        return value


class NoCounters(ValueError, AttributeError):  # who asks what the store can do must not stumble over it
    """The store keeps no counters."""


class Backend(BaseCache):  # type: ignore[misc]  # aiocache has no types
    """An aiocache backend of bytes, known by `name`, which holds no secret."""

    def __init__(self, name: str) -> None:
        # aiocache's own timeout costs 8 us a call; remote stores bound their calls themselves.
        super().__init__(serializer=BytesSerializer(), key_builder=join_key, timeout=0)
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def open(self) -> None:
        """Acquire what the store needs; called once, after the fork."""

    async def swap(self, key: bytes, expected: bytes, value: bytes, ttl: float | None = None) -> bool:
        """Put `value` in place of `expected` in one step; False when something else, or nothing, is there."""
        return bool(await self.set(key, value, ttl=ttl, _cas_token=expected))

    async def get(
        self, key: str | bytes, default: Any = None, namespace: str | bytes | None = None, **options: Any
    ) -> Any:
        """Return the value, or `default`; past aiocache's wrappers, which cost 2.3 us, where nobody needs them."""
        if options or self.plugins:
            return await super().get(key, default, namespace=namespace, **options)
        value = await self._get(join_key(key, self.namespace if namespace is None else namespace))
        return default if value is None else value

    async def set(
        self,
        key: str | bytes,
        value: Any,
        ttl: Any = SENTINEL,
        namespace: str | bytes | None = None,
        _cas_token: bytes | None = None,
        **options: Any,
    ) -> Any:
        """Store the value and say whether it was kept; past aiocache's wrappers likewise."""
        if options or self.plugins:
            options |= {"_cas_token": _cas_token}
            return await super().set(key, value, ttl, namespace=namespace, **options)
        place = join_key(key, self.namespace if namespace is None else namespace)
        lifetime = self.ttl if ttl is SENTINEL else ttl
        return await self._set(place, as_bytes(value), lifetime, _cas_token=_cas_token)

    @property
    def counters(self) -> Counters:
        raise NoCounters(f"store {self.name} keeps no counters; name a memory, lmdb or redis store")


class Local(Backend):
    """A store whose work is synchronous; aiocache's methods wrap the `*_nowait` ones."""

    def get_nowait(self, key: bytes) -> bytes | None:
        raise NotImplementedError

    def set_nowait(
        self, key: bytes, value: bytes, ttl: float | None = None, expected: bytes | Expect | None = ANYTHING
    ) -> bool:
        """Store the value if what is there is as `expected` (None: nothing); say whether it was stored."""
        raise NotImplementedError

    def delete_nowait(self, key: bytes, expected: bytes | Expect | None = ANYTHING) -> bool:
        raise NotImplementedError

    def expire_nowait(self, key: bytes, ttl: float) -> bool:
        raise NotImplementedError

    def increment_nowait(self, key: bytes, delta: int) -> int:
        raise NotImplementedError

    def clear_nowait(self, prefix: bytes) -> None:
        raise NotImplementedError

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return self.get_nowait(key)

    _gets = _get

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        return [self.get_nowait(key) for key in keys]

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        return self.set_nowait(key, value, ttl, ANYTHING if _cas_token is None else _cas_token)

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        for key, value in pairs:
            self.set_nowait(key, value, ttl)
        return True

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        if self.set_nowait(key, as_bytes(value), ttl, None):
            return True
        if self.get_nowait(key) is None:
            raise StoreAway(f"store {self.name} has no room for the entry")
        raise ValueError("the key exists; use set to replace its value")

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        return int(self.delete_nowait(key))

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return self.get_nowait(key) is not None

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        return self.increment_nowait(key, delta)

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        return self.expire_nowait(key, ttl)

    async def _clear(self, namespace: str | bytes | None = None, _conn: object = None) -> bool:
        self.clear_nowait(as_bytes(namespace or b""))
        return True

    async def _redlock_release(self, key: bytes, value: str | bytes) -> int:
        return int(self.delete_nowait(key, as_bytes(value)))


def whole_number(value: bytes | None) -> int:
    """Read a stored decimal number, 0 when there is none.

    Raises:
        TypeError: it is not one (as aiocache says it).
    """
    try:
        return int(value or b"0")
    except ValueError:
        raise TypeError("the stored value is not a whole number") from None
