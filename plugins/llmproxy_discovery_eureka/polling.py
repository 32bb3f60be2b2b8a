"""Asks Eureka's servers for changes, one after the other until one answers."""

from __future__ import annotations

import base64
from typing import Any

from llmproxy.plugin import ApiClient, Listed, MemberSource, RawHeader, RegistryAway
from llmproxy_discovery_eureka.config import EurekaConfig
from llmproxy_discovery_eureka.registry import Registry


class Application(MemberSource):
    """The instances of one application."""

    def __init__(self, config: EurekaConfig) -> None:
        self._config = config
        self._clients = [ApiClient(url, tls=config.tls) for url in config.servers]
        self._registry = Registry(config.application)
        #: Whether the copy is one, so that changes are enough.
        self._whole = False
        self.patience = 2 * config.timeout * len(config.servers)

    async def look(self) -> Listed:
        """Bring the copy up to date at the first server that answers; the one that did is asked first next time."""
        fault: RegistryAway | None = None
        for client in tuple(self._clients):
            try:
                await self._refresh(client)
            except RegistryAway as error:
                fault, self._whole = error, False
                self._clients.append(self._clients.pop(0))
            else:
                members = self._registry.members(
                    secure=self._config.secure, use_host_names=self._config.use_host_names
                )
                return Listed(members, self._config.interval)
        raise fault or RegistryAway("no server is configured")

    async def _refresh(self, client: ApiClient) -> None:
        if self._whole:
            # A delta that does not add up to what the server has is no use, nor is a server that gives none.
            try:
                self._whole = self._registry.change(await self._get(client, "/apps/delta"))
            except RegistryAway:
                self._whole = False
        if not self._whole:
            self._registry.fill(await self._get(client, "/apps"))
            self._whole = True

    async def _get(self, client: ApiClient, target: str) -> Any:
        _, tree = await client.get(target, self._config.timeout, self._headers())
        return tree

    def _headers(self) -> list[RawHeader]:
        config = self._config
        if config.username is None or config.password is None:
            return []
        pair = f"{config.username}:{config.password.reveal()}"
        return [(b"Authorization", b"Basic " + base64.b64encode(pair.encode()))]

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()
