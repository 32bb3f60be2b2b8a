"""Lists a service's EndpointSlices, then watches them change (Kubernetes: "efficient detection of changes").

A list tells its `resourceVersion`, a watch begins there; each event and each bookmark moves it on. When a watch ends,
which is ordinary, the next one begins where it was. When the version has become too old (410 Gone) comes a list again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from llmproxy.plugin import (
    ApiClient,
    BadRegistry,
    Body,
    EventTooLarge,
    GatewayError,
    LineFramer,
    Listed,
    MemberSource,
    PoolMember,
    RawHeader,
    Refused,
    RegistryAway,
)
from llmproxy_discovery_kubernetes.config import KubernetesConfig
from llmproxy_discovery_kubernetes.slices import Seen, members_of, read_slice

#: Slices that are asked for at a time, and seconds that the server is asked to keep a watch.
_PAGE: Final = 500
_WATCH: Final = 290
#: Seconds without a word, of which bookmarks are one a minute, before a watch counts as dead.
_SILENCE: Final = _WATCH + 30.0
#: Seconds between two looks, as a service that is rolled out tells of many changes in a row; doubled while nothing comes
#: of asking, as with a server that ends each watch at once.
_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 5.0
#: Pages of a list, which a server may never end.
_MOST_PAGES: Final = 64
_LONGEST_EVENT: Final = 8 * 1024 * 1024


class _Gone(Exception):
    """The version is too old to go on from."""


class ServiceWatch(MemberSource):
    """The endpoints of one service."""

    patience = None

    def __init__(self, config: KubernetesConfig) -> None:
        self._config = config
        self._client = ApiClient(config.api_url(), tls=config.api_tls())
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{config.own_namespace()}/endpointslices"
        self._slices: dict[str, list[Seen]] = {}
        self._version = ""
        self._changes: AsyncGenerator[None, None] | None = None
        self._pause = _PAUSE

    async def look(self) -> Listed:
        """Return the list: at once the first time, then when an event has come."""
        try:
            if self._version:
                await self._next()
                self._pause = _PAUSE
                return Listed(self._members(), _PAUSE)
            await self._list()
        except _Gone:
            await self._stop()
            await self._list()
        except BaseException:
            await self._stop()
            raise
        return Listed(self._members(), self._longer_pause())

    def _longer_pause(self) -> float:
        """Return the pause that is due, and have the next one be longer unless something comes."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    def _members(self) -> list[PoolMember]:
        return members_of(self._slices.values(), include_serving=self._config.include == "serving")

    async def _list(self) -> None:
        """Take all slices, page by page; a failure of any page begins the list anew, after a pause."""
        self._version, slices, more = "", dict[str, list[Seen]](), ""
        for _ in range(_MOST_PAGES):
            query = {"limit": str(_PAGE)} | ({"continue": more} if more else {})
            _, tree = await self._client.get(self._target(query), self._config.timeout, self._headers())
            meta = _mapping(tree.get("metadata") if isinstance(tree, dict) else None)
            slices.update(
                read_slice(item, self._config.port, self._config.family) for item in tree.get("items") or []
            )
            more = meta.get("continue") or ""
            if not more:
                break
        else:
            raise BadRegistry(f"{self._client.host} sends a list without end")
        self._slices, self._version = slices, str(meta.get("resourceVersion") or "")

    async def _next(self) -> None:
        """Wait for the next events; where a watch has ended, begin another."""
        while True:
            if self._changes is None:
                self._changes = self._watch()
            async for _ in self._changes:
                return
            self._changes = None
            await asyncio.sleep(self._longer_pause())

    async def _watch(self) -> AsyncGenerator[None, None]:
        """Follow one watch to its end; yield whenever slices have changed."""
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH)}
        target = self._target({**query, "resourceVersion": self._version})
        framer = LineFramer(max_line=_LONGEST_EVENT)
        try:
            async with self._client.stream(
                target, self._config.timeout, self._headers(), idle=_SILENCE
            ) as reply:
                pieces = reply.body.pieces() if isinstance(reply.body, Body) else _once(reply.body)
                async for data in pieces:
                    changed = [self._take(line) for line in framer.feed(data)]
                    if any(changed):
                        yield
        except Refused as fault:
            if fault.status == 410:
                raise _Gone from None
            raise
        except EventTooLarge:
            raise BadRegistry(f"{self._client.host} sends an event that is too large") from None
        except (GatewayError, OSError):
            raise RegistryAway(f"{self._client.host} broke off the watch") from None

    def _take(self, line: bytes) -> bool:
        """Take one event; return whether slices have changed."""
        try:
            event = _mapping(orjson.loads(line))
        except orjson.JSONDecodeError:
            raise BadRegistry(f"{self._client.host} sends an event that is not JSON") from None
        kind, item = event.get("type"), _mapping(event.get("object"))
        if kind == "ERROR":
            if item.get("code") == 410:
                raise _Gone
            raise RegistryAway(f"{self._client.host} ends the watch with an error ({item.get('code')})")
        version = _mapping(item.get("metadata")).get("resourceVersion")
        if kind in {"ADDED", "MODIFIED", "DELETED"}:
            name, seen = read_slice(item, self._config.port, self._config.family)
            self._slices.pop(name, None)
            if kind != "DELETED":
                self._slices[name] = seen
        self._version = str(version or self._version)
        return kind != "BOOKMARK"

    def _target(self, query: dict[str, str]) -> str:
        selector = {"labelSelector": f"kubernetes.io/service-name={self._config.service}"}
        return f"{self._path}?{urlencode(selector | query)}"

    def _headers(self) -> list[RawHeader]:
        """Return the credentials; the token is read each time, as the kubelet replaces it."""
        if self._config.token_file is None:
            return []
        try:
            token = Path(self._config.token_file).read_bytes().strip()
        except OSError as fault:
            raise RegistryAway(
                f"the token file cannot be read: {fault.strerror or type(fault).__name__}"
            ) from None
        return [(b"Authorization", b"Bearer " + token)]

    async def _stop(self) -> None:
        changes, self._changes = self._changes, None
        if changes is not None:
            await changes.aclose()

    async def close(self) -> None:
        """End the watch, close the connection."""
        await self._stop()
        self._client.close()


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRegistry("the API server's answer is not as documented")
    return value
