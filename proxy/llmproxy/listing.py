"""The names by which a route lists its models: those written out, then what is known of its upstreams' providers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from llmproxy.routing import ModelTable

#: Names that are listed beside those written out; all models of all providers are fewer.
MOST: Final = 4096


def wanted_model(path: str) -> str | None:
    """Return the name of the model that a call asks about, empty for all; None where it is another call."""
    _, found, rest = path.rstrip("/").rpartition("/models")
    return unquote(rest[1:]) if found else None


class Listing:
    """What one route lists; `providers` says whose each upstream is, where that is known.

    The catalogue of models is read with the first call that it may answer, in a thread, and the names are kept.
    """

    def __init__(self, table: ModelTable, providers: Mapping[str, str]) -> None:
        self.written = table.names()
        self._table = table
        self._providers = providers
        self._names: tuple[str, ...] | None = None if providers else self.written
        self._reading = asyncio.Lock()

    async def names(self) -> tuple[str, ...]:
        """Return all names, without doubles: the config's in its order, then the others in theirs."""
        if self._names is None:
            async with self._reading:
                if self._names is None:
                    self._names = await asyncio.to_thread(self._read)
        return self._names

    def _read(self) -> tuple[str, ...]:
        return (*self.written, *sorted(set(self._table.offered(self._models_of)))[:MOST])

    def _models_of(self, upstream: str) -> Sequence[str]:
        provider = self._providers.get(upstream)
        if provider is None:
            return ()
        from llmproxy.providers.models import load_now  # noqa: PLC0415  # large; most gateways are never asked

        return [model.name for model in load_now().of(provider)]
