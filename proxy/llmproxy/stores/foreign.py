"""Any other aiocache backend, named by its class: ``aiocache://package.module.Class?option=value``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from typing import Any

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from llmproxy.references import quoted
from llmproxy.stores.backend import Backend, as_bytes
from llmproxy.stores.breaker import Breaker
from llmproxy.stores.guard import Guard
from llmproxy.stores.urls import StoreUrl
from llmproxy.units import parse_duration

# Objects, which a URL cannot write.
_NOT_BY_URL = frozenset({"self", "serializer", "plugins", "key_builder", "kwargs", "args"})


def make_foreign(url: StoreUrl) -> ForeignStore:
    """Make the store of ``aiocache://aiocache.RedisCache?endpoint=host&port=6379&timeout=100ms``.

    Options are the class's own, passed as text (aiocache's backends read it); `timeout` bounds each call.
    """
    url.refuse_parts("port", "username", "password")
    backend_class = _find_class(url.host)
    url.refuse_unknown(_option_names(backend_class))
    options: dict[str, Any] = dict(url.options)
    timeout = StoreUrl(url.scheme, url.host, options={"timeout": options.pop("timeout", "100ms")})
    # The serializer would pickle or decode; our values are bytes, and the guard has the timeout.
    backend = backend_class(serializer=NullSerializer(encoding=None), timeout=0, **options)
    return ForeignStore(str(url), backend, **timeout.read(timeout=parse_duration))


class ForeignStore(Backend):
    """A backend that knows nothing of ours: keys reach it as short text, faults become `StoreAway`.

    It cannot be cleared (NotImplementedError): aiocache's own clear may empty a whole server.
    """

    NAME = "aiocache"

    def __init__(self, name: str, backend: Any, *, timeout: float) -> None:
        super().__init__(name)
        self._backend = backend
        self._guard = Guard(name, timeout, Breaker(5, 1.0), answers=(ValueError, TypeError))

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return _value(await self._call(self._backend.get, _text(key)))

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        values = await self._call(self._backend.multi_get, [_text(key) for key in keys])
        return [_value(value) for value in values]

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        if ttl is not None and ttl <= 0:
            await self._delete(key)
            return False
        return bool(await self._call(self._backend.set, _text(key), value, ttl=ttl, _cas_token=_cas_token))

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        named = [(_text(key), value) for key, value in pairs]
        return bool(await self._call(self._backend.multi_set, named, ttl=ttl))

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        return bool(await self._call(self._backend.add, _text(key), as_bytes(value), ttl=ttl))

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        return int(await self._call(self._backend.delete, _text(key)))

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return bool(await self._call(self._backend.exists, _text(key)))

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        return int(await self._call(self._backend.increment, _text(key), delta))

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        return bool(await self._call(self._backend.expire, _text(key), ttl))

    async def _close(self, *_: object, **__: object) -> None:
        await self._backend.close()

    async def _call(self, work: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        return await self._guard.call(work, *args, **kwargs)


def _text(key: bytes) -> str:
    """Return a key that every backend takes: memcached allows 250 printable characters."""
    return "llmproxy:" + blake2b(key, digest_size=32).hexdigest()


def _value(value: object) -> bytes | None:
    """Return what was stored; backends keep incremented numbers in their own form."""
    return None if value is None else as_bytes(str(value) if isinstance(value, int) else value)


def _find_class(dotted: str) -> Any:
    module_name, _, class_name = dotted.rpartition(".")
    try:
        found = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"store class {quoted(dotted)} cannot be imported: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, BaseCache)):
        raise ValueError(f"store class {quoted(dotted)} is not an aiocache backend (a subclass of BaseCache)")
    return found


def _option_names(backend_class: type) -> set[str]:
    """Return the constructor's named arguments, those it hands on to its parents included."""
    names: set[str] = set()
    for owner in backend_class.__mro__:
        if "__init__" in vars(owner) and owner is not object:
            names.update(inspect.signature(vars(owner)["__init__"]).parameters)
    return names - _NOT_BY_URL
