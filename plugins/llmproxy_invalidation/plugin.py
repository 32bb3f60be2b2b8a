"""Purges what caches hold when something changes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from llmproxy.caches import PurgeOrder
from llmproxy.plugin import (
    CallNext,
    ChildRequest,
    Exchange,
    GatewayError,
    Headers,
    Plugin,
    Registry,
    Reply,
    Runtime,
    SharedServer,
    StartError,
    hookimpl,
    shared_server,
)
from llmproxy_invalidation.config import Channel, InvalidationConfig, InvalidationRoute, Stream
from llmproxy_invalidation.events import Reader
from llmproxy_invalidation.listening import ChannelListener, StreamListener, Wanted, gap_order, keep_up
from llmproxy_invalidation.obeying import Obeying
from llmproxy_invalidation.purgemethod import Permission, order_of
from llmproxy_invalidation.webhooks import WebhookReceiver
from llmproxy_invalidation.writes import Change, Writes, may_have_changed

#: Fields of a write's request that say which form of an answer its caller takes.
_CHOOSING = ("host", "accept", "accept-encoding", "accept-language")


class InvalidationPlugin(Plugin[InvalidationConfig]):
    """Events, PURGE requests and writes that purge."""

    Config = InvalidationConfig
    RouteConfig = InvalidationRoute

    _runtime: Runtime
    _obeying: dict[str, Obeying]

    def __init__(self, name: str, config: InvalidationConfig) -> None:
        super().__init__(name, config)
        self._webhooks: dict[str, WebhookReceiver] = {}
        self._writes: dict[str, Writes] = {}
        self._permissions: dict[str, Permission | None] = {}
        self._listening = False

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Serve the webhooks' paths."""
        for webhook in self.config.webhooks:
            registry.public_route(["POST"], webhook.path, self._receive)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Listen to channels and streams, in one worker of the host."""
        self._runtime = runtime
        kinds = ("webhook", "channel", "stream", "purge", "write")
        self._obeying = {kind: Obeying(runtime, kind) for kind in kinds}
        for webhook in self.config.webhooks:
            receiver = WebhookReceiver(webhook, self._obeying["webhook"], runtime.clock)
            self._webhooks[f"{self.name}:{webhook.path}"] = receiver
        listeners: list[tuple[Callable[[Wanted], Awaitable[None]], Obeying]] = []
        for channel in self.config.channels:
            listener = self._channel(channel, await self._server(channel.store))
            listeners.append((listener.listen, self._obeying["channel"]))
        for stream in self.config.streams:
            reader = self._stream(stream, await self._server(stream.store))
            listeners.append((reader.listen, self._obeying["stream"]))
        self._listening = True
        for listen, obeying in listeners:
            work = keep_up(listen, obeying.away, lambda: self._listening)
            _ = runtime.spawn(work, name="listener", once_per_host=True)
        try:
            yield
        finally:
            self._listening = False

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Answer webhooks, which prove by themselves who sent them, and PURGE where it is allowed."""
        receiver = self._webhooks.get(exchange.route.name)
        if receiver is not None:
            return await receiver.receive(exchange)
        if exchange.request.method != "PURGE":
            return None
        permission = self._permission(exchange)
        if permission is None:
            return None
        order = order_of(exchange, permission.tenant_of(exchange))
        outcome = await self._obeying["purge"].obey(order)
        return Reply.json({"purged": False}) if outcome is None else outcome.reply()

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Purge what a write makes untrue before its answer leaves."""
        change = self._change(exchange)
        if change is None:
            return await call_next(exchange)
        try:
            reply = await call_next(exchange)
        except GatewayError as fault:
            if may_have_changed(fault.status):
                await self._purge(change)
            raise
        except BaseException:
            # The caller is gone, but the upstream may have done it.
            self._runtime.spawn(self._purge(change), name="purge-after-write")
            raise
        if may_have_changed(reply.status):
            await self._purge(change)
            if reply.status < 400:
                await self._refill(exchange, change)
        return reply

    def _change(self, exchange: Exchange) -> Change | None:
        name = exchange.route.name
        writes = self._writes.get(name)
        if writes is None:
            writes = self._writes[name] = Writes(exchange.options(self).writes)
        request = exchange.request
        return writes.find(request.method, request.path, exchange.caller.tenant)

    def _permission(self, exchange: Exchange) -> Permission | None:
        name = exchange.route.name
        if name not in self._permissions:
            allowed = exchange.options(self).purge
            self._permissions[name] = None if allowed is None else Permission(allowed)
        return self._permissions[name]

    async def _purge(self, change: Change) -> None:
        await self._obeying["write"].obey(PurgeOrder(tuple(change.purges)))

    async def _refill(self, exchange: Exchange, change: Change) -> None:
        """Have what was purged fetched again, in the write's caller's name; nobody waits for it."""
        asked = exchange.request.headers
        fields = {name: value for name in _CHOOSING if (value := asked.get(name)) is not None}
        for target in change.refill:
            request = ChildRequest("GET", target, Headers.of(fields))
            await self._runtime.call(request, exchange, detached=True)

    async def _receive(self, exchange: Exchange) -> Reply:
        """Answer a webhook where the common pipeline does not list this plugin."""
        return await self._webhooks[exchange.route.name].receive(exchange)

    async def _server(self, store: str) -> SharedServer:
        server = shared_server(await self._runtime.store(store))
        if server is None:
            raise StartError(f"plugin {self.name!r}: store {store!r} is not on a Redis or Valkey server")
        return server

    def _channel(self, channel: Channel, server: SharedServer) -> ChannelListener:
        obeying, reader = self._obeying["channel"], Reader(channel.events, channel.purges)

        async def obey(data: bytes) -> bool:
            return await obeying.try_to(partial(reader.read, data))

        async def obey_order(order: PurgeOrder) -> bool:
            return await obeying.try_to(lambda: order)

        after_gap = gap_order(channel.after_gap, channel.purges)
        return ChannelListener(server, channel.channel, obey, obey_order, after_gap)

    def _stream(self, stream: Stream, server: SharedServer) -> StreamListener:
        obeying, reader = self._obeying["stream"], Reader(stream.events, stream.purges)

        async def obey(fields: dict[str, str]) -> bool:
            if stream.field:
                return await obeying.try_to(partial(reader.read, fields.get(stream.field, "").encode()))
            return await obeying.try_to(partial(reader.read_fields, fields))

        return StreamListener(server, stream.stream, stream.group or f"llmproxy-{socket.gethostname()}", obey)
