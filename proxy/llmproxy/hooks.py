"""Every hook, declared once: pluggy's specification and the type checkers' interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from llmproxy.exchange import Attempt, Exchange
    from llmproxy.messages import Reply, StoredReply, UpstreamRequest
    from llmproxy.registry import Registry
    from llmproxy.runtime import Runtime
    from llmproxy.sse import Event

#: pluggy's name for this project.
PROJECT = "llmproxy"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

CallNext = Callable[["Exchange"], Awaitable["Reply"]]


class EventTransform(Protocol):
    """Changes a stream event by event; sync and sans-io on purpose."""

    def feed(self, event: Event) -> Iterable[Event]:
        """Return what leaves in place of `event`: nothing, itself, or others."""

    def close(self) -> Iterable[Event]:
        """Return what was held back until the stream's end."""


class Hooks:
    """The twelve hooks."""

    @hookspec
    def register(self, registry: Registry) -> None:
        """Offer dialects, store schemes, balancing strategies, embedders, routes and pages.

        Called: once a generation, at build, before any configuration of routes is checked.
        Return: nothing.
        Order: config order of the plugin instances.
        Failure: the start or reload is refused, with the plugin's name.
        Since: 0.1
        """

    @hookspec
    async def contribute_config(self, runtime: Runtime) -> dict[str, Any] | None:
        """Return configuration that is kept elsewhere: routes, upstreams, models.

        Called: once a generation, at build, after `register`.
        Return: a fragment of the configuration tree, validated like the file, or None.
        Order: config order; a name that is there already is refused.
        Failure: the start or reload is refused, with the plugin's name.
        Since: 0.1
        """

    @hookspec
    def lifespan(self, runtime: Runtime) -> AbstractAsyncContextManager[None]:
        """Acquire before the `yield`, release after it.

        Called: once a generation, when it starts; left when it has drained.
        Return: an async context manager.
        Order: entered in config order, left in reverse.
        Failure: the start or reload is refused; what was entered is left again.
        Since: 0.1
        """
        raise NotImplementedError

    @hookspec
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Refuse, answer, or rewrite the meaning of the request.

        Called: once an exchange, headers known, body not yet read (`await exchange.body()` reads it, bounded).
        Return: a Reply answers the caller at once; None goes on.
        Order: down the list; the first Reply wins.
        Failure: closed: the caller gets an error (`on_error: open` goes on instead).
        Since: 0.1
        """

    @hookspec
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Answer from a store.

        Called: once an exchange, after the model name was resolved, before any attempt.
        Return: a stored reply, or None for a miss.
        Order: down the list; the first Reply wins.
        Failure: open: a miss (`on_error: closed` makes it an error).
        Since: 0.1
        """

    @hookspec
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Wrap the attempts: retry, fall back, coalesce, limit.

        Called: once an exchange that no earlier hook answered.
        Return: what `await call_next(exchange)` gave, or another Reply; each call of `call_next` is an attempt.
        Order: the first listed is the outermost.
        Failure: closed: the caller gets an error.
        Since: 0.1
        """
        raise NotImplementedError

    @hookspec
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Change one attempt's wire request in place: sign it, add a header.

        Called: once an attempt, after encoding.
        Return: nothing.
        Order: down the list.
        Failure: closed: the attempt fails.
        Since: 0.1
        """

    @hookspec
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Account for one attempt, or judge the upstream's health by it.

        Called: once an attempt, however it ended, hedge losers included.
        Return: nothing.
        Order: down the list.
        Failure: logged and counted; the caller never knows.
        Since: 0.1
        """

    @hookspec
    async def cache_store(self, exchange: Exchange, reply: StoredReply) -> None:
        """Keep a complete reply, as it was before client-specific changes.

        Called: once an exchange whose upstream answered completely, whether or not the caller is still there.
        Return: nothing.
        Order: up the list.
        Failure: logged and counted; the caller never knows.
        Since: 0.1
        """

    @hookspec
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Change a reply in place for this caller: status, headers, a whole body.

        Called: once an exchange, on hits, misses and errors alike; an early Reply passes only the plugins listed
            above the one that gave it.
        Return: nothing.
        Order: up the list.
        Failure: closed: the caller gets an error.
        Since: 0.1
        """

    @hookspec
    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        """Return a fresh transform for this stream, or None to stay out of it.

        Called: once a streamed reply, when its headers are known; on a WebSocket once an exchange.
        Return: an object with `feed(event)` and `close()`, or None.
        Order: up the list: the last listed sees each event first.
        Failure: closed: the stream ends with an error event, never a clean end.
        Since: 0.1
        """

    @hookspec
    async def post_response(self, exchange: Exchange) -> None:
        """Account, log, measure.

        Called: exactly once an exchange that matched a route, however it ended, shielded from cancellation.
        Return: nothing; `exchange.outcome` is final.
        Order: up the list.
        Failure: logged and counted.
        Since: 0.1
        """


#: Hooks by colour: what a plugin's implementation must be.
ASYNC_HOOKS = frozenset(
    {
        "contribute_config",
        "pre_route",
        "cache_lookup",
        "around_upstream",
        "transform_request",
        "cache_store",
        "transform_response",
        "post_response",
    }
)
SYNC_HOOKS = frozenset({"register", "lifespan", "attempt_done", "transform_stream"})
HOOKS = ASYNC_HOOKS | SYNC_HOOKS
