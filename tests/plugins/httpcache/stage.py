"""A route with the cache before a scripted origin, and a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from llmproxy.plugin import ANONYMOUS, Caller, Clock
from llmproxy.runtime import Process
from llmproxy.testing import FakeUpstream, Served, Serving, make_exchange, make_process, running_route
from llmproxy_httpcache import HttpCachePlugin
from llmproxy_httpcache.config import HttpCacheRoute
from llmproxy_httpcache.policy import Policy

STORES = {"stores": {"answers": {"url": "memory://"}}}
ETAG = ("ETag", '"a"')


def policy_of(profile: str, **route: Any) -> Policy:
    """Return the switches of a route with that profile."""
    return HttpCacheRoute(profile=profile, **route).standing.policy  # type: ignore[arg-type]


class Hands(Clock):
    """A clock whose wall time is put forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


class Stage:
    """The route, its origin, its clock."""

    def __init__(self, serving: Serving, origin: FakeUpstream, clock: Hands) -> None:
        self.serving = serving
        self.origin = origin
        self.clock = clock

    async def ask(
        self,
        path: str = "/a",
        method: str = "GET",
        *,
        caller: Caller = ANONYMOUS,
        body: bytes = b"",
        **headers: str,
    ) -> Served:
        """Send a request; underscores in names of fields are hyphens."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange = make_exchange(method, path, headers=fields, caller=caller, body=body)
        served = await self.serving.serve(exchange)
        await settled()
        return served

    @property
    def asked(self) -> int:
        """How many requests the origin has had."""
        return len(self.origin.requests)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.ahead += seconds


@asynccontextmanager
async def staged(
    origin: FakeUpstream,
    profile: str = "rfc9111",
    process: Process | None = None,
    *,
    more: Mapping[str, Any] = STORES,
    plugins: Mapping[str, Any] = {},
    **route: Any,
) -> AsyncIterator[Stage]:
    """Put the cache before an origin."""
    clock = Hands()
    process = process or make_process(clock)
    async with (
        origin,
        running_route(
            {**plugins, "httpcache": {"use": HttpCachePlugin, "store": "answers", "show_key": True}},
            upstream=origin,
            options={"httpcache": {"profile": profile, **route}},
            config=more,
            process=process,
        ) as serving,
    ):
        yield Stage(serving, origin, clock)


async def settled() -> None:
    """Wait until nothing is on its way into the store, and nothing is being refreshed."""
    async with asyncio.timeout(5):
        while any(
            task.get_name().rpartition(":")[2] in {"keep", "drain", "refresh", "flight", "flight-keep"}
            for task in asyncio.all_tasks()
        ):
            await asyncio.sleep(0.001)


def status(served: Served) -> str:
    """Return how the answer was cached, without key and detail."""
    value = served.reply.headers.get("cache-status") or ""
    return "; ".join(part for part in value.split("; ") if not part.startswith(("key=", "detail=", "ttl=")))
