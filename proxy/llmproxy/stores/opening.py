"""From a URL to a store; engines are imported when a URL names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, Protocol, cast

from llmproxy.stores.interface import Store
from llmproxy.stores.urls import StoreUrl
from llmproxy.suggestions import nearest


class UnopenedStore(Store, Protocol):
    """What a scheme makes: a store that has touched no file or socket before `open`."""

    def open(self) -> None:
        """Acquire what the store needs; called once, after the fork."""


StoreScheme = Callable[[StoreUrl], UnopenedStore]


def make_store(url: str, schemes: Mapping[str, StoreScheme] | None = None) -> UnopenedStore:
    """Make the store that `url` names, unopened: its options are checked, nothing outside is touched.

    Raises:
        ValueError: unknown scheme or option, or a bad value. The message holds no credential.
    """
    parsed = StoreUrl.parse(url)
    known = SCHEMES if schemes is None else schemes
    if parsed.scheme not in known:
        near = nearest(parsed.scheme, known)
        hint = f"did you mean {near}://?" if near else f"known: {', '.join(sorted(known))}"
        raise ValueError(f"no store has the scheme {parsed.scheme}://; {hint}")
    return known[parsed.scheme](parsed)


def open_store(url: str, schemes: Mapping[str, StoreScheme] | None = None) -> Store:
    """Make and open the store that `url` names; never before the fork.

    Raises:
        ValueError: as `make_store`.
        StartError: the store's files cannot be opened. (A server that is away is no error: see `StoreAway`.)
    """
    store = make_store(url, schemes)
    store.open()
    return store


def _lazy(module: str, maker: str) -> StoreScheme:
    """Return a scheme that imports its engine on first use: redis alone takes 0.2 s."""

    def make(url: StoreUrl) -> UnopenedStore:
        return cast(StoreScheme, getattr(import_module(f"llmproxy.stores.{module}"), maker))(url)

    return make


_REDIS: Final = _lazy("redis", "make_redis")

SCHEMES: Final[Mapping[str, StoreScheme]] = {
    "memory": _lazy("memory", "make_memory"),
    "lmdb": _lazy("lmdb", "make_lmdb"),
    "redis": _REDIS,
    "rediss": _REDIS,
    "redis+unix": _REDIS,
    "valkey": _REDIS,
    "valkeys": _REDIS,
    "valkey+unix": _REDIS,
    "memcached": _lazy("memcached", "make_memcached"),
    "aiocache": _lazy("foreign", "make_foreign"),
}
