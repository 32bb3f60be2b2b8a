"""Refuses callers by their address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from llmproxy.plugin import CounterChild, Exchange, GatewayError, Plugin, Reply, Runtime, hookimpl
from llmproxy_ipfilter.config import IpFilterConfig, IpFilterRoute
from llmproxy_ipfilter.files import ListFile, keep_reading
from llmproxy_ipfilter.networks import Networks, read_network
from llmproxy_ipfilter.policy import Policy

#: The listeners of requests that no caller sent: the gateway's own, and an operator's.
_OWN: Final = frozenset({"child", "admin"})


class IpFilterPlugin(Plugin[IpFilterConfig]):
    """Networks that are allowed and denied."""

    Config = IpFilterConfig
    RouteConfig = IpFilterRoute

    _broken: CounterChild

    def __init__(self, name: str, config: IpFilterConfig) -> None:
        super().__init__(name, config)
        self._policies: dict[str, Policy] = {}
        self._allowed = _file(config.allow_file, may_be_empty=False)
        self._denied = _file(config.deny_file, may_be_empty=True)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Read the files, and again whenever they change."""
        name = "llmproxy_ipfilter_broken_lists_total"
        help_ = "Changed files of networks that could not be read, so that the list from before stays."
        self._broken = runtime.metrics.counter(name, help_, ("plugin",)).labels(self.name)
        files = [*self._allowed, *self._denied]
        for file in files:
            file.load()
        if files:
            work = keep_reading(files, runtime, self._policies.clear, self._broken.inc)
            _ = runtime.spawn(work, name="lists")
        yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Refuse who may not ask."""
        policy = self._policies.get(exchange.route.name) or self._policy(exchange)
        if policy.admits(exchange.request.client) or is_own(exchange):
            return None
        raise GatewayError(403, "address_not_allowed", "Callers at this address may not use this route.")

    def _policy(self, exchange: Exchange) -> Policy:
        options: IpFilterRoute = exchange.options(self)
        allow = self.config.allow if options.allow is None else options.allow
        deny = self.config.deny if options.deny is None else options.deny
        allowed_files = self._allowed if options.allow is None else []
        policy = Policy(
            _networks(allow, allowed_files),
            _networks(deny, self._denied),
            only_allowed=bool(allow or allowed_files),
            nameless=self.config.unix == "pass",
        )
        self._policies[exchange.route.name] = policy
        return policy


def is_own(exchange: Exchange) -> bool:
    """Whether the gateway asks of itself, in nobody's name: that has no address.

    What it asks for a caller without an address, one on a Unix socket, is that caller's.
    """
    root = exchange
    while root.parent is not None:
        root = root.parent
    return root.request.listener in _OWN


def _file(path: str | None, *, may_be_empty: bool) -> list[ListFile]:
    return [] if path is None else [ListFile(path, may_be_empty=may_be_empty)]


def _networks(written: Iterable[str], files: Iterable[ListFile]) -> list[Networks]:
    return [Networks(map(read_network, written)), *(file.networks for file in files)]
