"""Plugins that must not start."""

from __future__ import annotations

from llmproxy.plugin import Exchange, NoConfig, Plugin, Reply, hookimpl


class Misspelt(Plugin[NoConfig]):
    @hookimpl
    async def pre_rout(self, exchange: Exchange) -> Reply | None:
        return None


class WrongArgument(Plugin[NoConfig]):
    @hookimpl
    async def pre_route(self, request: Exchange) -> Reply | None:
        return None


class WrongColour(Plugin[NoConfig]):
    @hookimpl
    def pre_route(self, exchange: Exchange) -> Reply | None:
        return None


class Unmarked(Plugin[NoConfig]):
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        return None


class OutOfOrder(Plugin[NoConfig]):
    @hookimpl(tryfirst=True)
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        return None


class Failing(Plugin[NoConfig]):
    @hookimpl
    async def contribute_config(self, runtime: object) -> None:
        raise ValueError("out of luck")


class NoPlugin:
    pass
