"""Asks Consul who passes its health checks, and waits there for news (a blocking query)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from llmproxy.plugin import ApiClient, Listed, MemberSource, RawHeader
from llmproxy_discovery_consul.config import ConsulConfig
from llmproxy_discovery_consul.instances import next_index, read_instances

#: Seconds between two questions at least: a service whose checks flap must not keep both sides busy.
_PAUSE: Final = 0.1


class PassingInstances(MemberSource):
    """The instances of one service all of whose checks pass."""

    def __init__(self, config: ConsulConfig) -> None:
        self._config = config
        self._client = ApiClient(config.address, tls=config.tls)
        # Consul adds up to a sixteenth to the time that it holds a question, so that not all end at once.
        self._held = config.hold * 17 / 16 + config.timeout
        self.patience = self._held + config.timeout
        self._index = 0

    async def look(self) -> Listed:
        """Return the list at once the first time and after a failure, then when there is news."""
        held, index = self._index > 0, self._index
        self._index = 0
        reply, entries = await self._client.get(
            self._target(index), self._held if held else self._config.timeout, self._headers()
        )
        members = read_instances(entries)
        self._index = next_index(index, reply.headers.get("x-consul-index"))
        return Listed(members, _PAUSE if self._index else max(_PAUSE, 1.0))

    def _target(self, index: int) -> str:
        config = self._config
        query = [("passing", "1"), *(("tag", tag) for tag in config.tags)]
        named = (("dc", config.datacenter), ("ns", config.namespace), ("filter", config.filter))
        query += [(name, value) for name, value in named if value]
        if index:
            query += [("index", str(index)), ("wait", f"{config.hold:.0f}s")]
        mode = "" if config.consistency == "default" else f"&{config.consistency}"
        return f"/v1/health/service/{quote(config.service, safe='')}?{urlencode(query)}{mode}"

    def _headers(self) -> list[RawHeader]:
        token = self._config.token
        return [] if token is None else [(b"X-Consul-Token", token.reveal().encode())]

    async def close(self) -> None:
        """Close the connection."""
        self._client.close()
