"""A second process over the same store: keeps the answers to the questions that it is told, one vector by number."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import numpy as np

from llmproxy.bus import Bus
from llmproxy.caches import entry_slots
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, Clock, Entry, Runtime
from llmproxy.stores import open_store
from llmproxy_semantic.rows import Known, Rows


async def keep(url: str, first: int, last: int) -> None:
    store = open_store(url)
    try:
        async with open_watched("main", store, Metrics(), Bus(None, 0)) as space:
            rows = Rows(cast("Runtime", _Running()), Known(), "minilm")
            for number in range(first, last):
                key, slots = b"exact %d" % number, entry_slots(tenant="t", route="r")
                entry = Entry(200, b"", b"{}", mark=space.now(), slots=slots, stored=1)
                vector = np.random.default_rng(number).standard_normal(384, dtype=np.float32)
                await rows.add(Answered(space, key, entry, 60.0), b"p", vector, b"%d" % number)
    finally:
        await store.close()


class _Running:
    """What a runtime is to rows that read nothing."""

    clock = Clock()


if __name__ == "__main__":
    asyncio.run(keep(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
