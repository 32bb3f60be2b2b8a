"""Routes whose answers are made of calls to a scripted upstream."""

from __future__ import annotations

from contextlib import asynccontextmanager

from llmproxy.testing import make_exchange, running_route
from llmproxy_aggregate import AggregatePlugin


def merged(path="/home/{user}", plugins=(), **options):
    return {
        "name": f"merged {path}",
        "match": {"path": path},
        "plugins": [*plugins, {"aggregate": options}],
    }


@asynccontextmanager
async def serving(upstream, *routes, plugins=None, config=None, **settings):
    """Serve merged routes beside one that passes everything else on."""
    everything = {"name": "everything", "upstream": "upstream"}
    tables = {"aggregate": {"use": AggregatePlugin, **settings}, **(plugins or {})}
    more = {**(config or {}), "routes": [*routes, everything]}
    async with running_route(tables, upstream=upstream, config=more) as running:
        yield running


async def ask(running, path="/home/7", method="GET", **how):
    return await running.serve(make_exchange(method, path, **how))
