"""Vectors of an upstream's model, asked for by a command: by the very code that a gateway asks with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import NoConfig, Plugin, Runtime, hookimpl
from llmproxy.testing import running_gateway
from llmproxy_semantic.embedder import TooLong
from llmproxy_semantic.remote import Remote

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Vector

_AT_ONCE: Final = 8


class Vectors:
    """Texts whose vectors are known: an embedder that knows no others."""

    def __init__(self, id: str, known: Mapping[str, Vector]) -> None:
        self.id = id
        self.dims = len(next(iter(known.values()), ()))
        self._known = known

    def embed(self, text: str) -> Vector:
        """Return the vector of a text.

        Raises:
            TooLong: there is none.
        """
        vector = self._known.get(text)
        if vector is None:
            raise TooLong
        return vector


class _Holding(Plugin[NoConfig]):
    """Holds the runtime that upstreams are asked through."""

    runtime: Runtime

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        _Holding.runtime = runtime
        yield


async def vectors_of(texts: Iterable[str], upstream: str, model: str, settings: Mapping[str, Any]) -> Vectors:
    """Return the vectors that a model of an upstream gives texts; `settings` are the upstream's, as configured.

    Raises:
        EmbeddingFault: the upstream fails, at the first text where it does.
        StartError: the settings are none that an upstream may have.
    """
    tree = {
        "log": {"level": "error"},
        "upstreams": {upstream: {"dialect": "openai", **settings}},
        "plugins": {"holding": {"use": _Holding}},
        "routes": [{"name": "none", "upstream": upstream, "plugins": ["holding"]}],
    }
    known: dict[str, Vector] = {}
    waiting = iter(dict.fromkeys(texts))
    async with running_gateway(tree):
        remote = Remote(upstream, model, _Holding.runtime)

        async def ask() -> None:
            for text in waiting:
                known[text] = await remote.vector(text, "lookup", lambda _: None)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(ask())
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
    return Vectors(remote.id, known)
