"""The layers of `around_upstream`, each around what is listed below it; the attempts are innermost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmproxy.errors import GatewayError
from llmproxy.replies import Step, plugin_failed

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.hooks import CallNext
    from llmproxy.messages import Reply
    from llmproxy.replies import Fault


class Layers:
    """One route's; `outer` is the first of them, called with what is `inner`.

    Whoever calls it takes its faults to `despite`. The others are guarded by a coroutine each, which it does not need:
    most routes have one layer at most.
    """

    def __init__(self, steps: tuple[Step, ...], attempts: CallNext, fault: Fault) -> None:
        self._fault = fault
        self._step = steps[0] if steps else None
        self.outer: Callable[..., Any] | None = self._step and self._step.call
        self.inner = attempts
        for step in reversed(steps[1:]):
            self.inner = self._guarded(step, self.inner)

    async def despite(self, fault: Exception, exchange: Exchange) -> Reply:
        """Go on without the outer layer that failed, if it may fail open.

        Raises:
            GatewayError: a refusal, which is nobody's fault, or that it failed.
        """
        if self._step is None:
            raise fault
        return await self._without(self._step, fault, exchange, self.inner)

    async def _without(self, step: Step, fault: Exception, exchange: Exchange, inner: CallNext) -> Reply:
        if isinstance(fault, GatewayError):
            raise fault
        self._fault(step, "around_upstream", fault)
        if step.open:
            return await inner(exchange)
        raise plugin_failed(502) from fault

    def _guarded(self, step: Step, inner: CallNext) -> CallNext:
        async def layer(exchange: Exchange) -> Reply:
            try:
                return expected(await step.call(exchange, inner))
            except Exception as fault:
                return await self._without(step, fault, exchange, inner)

        return layer


def expected(reply: Reply | None) -> Reply:
    """Return a layer's reply; there has to be one."""
    if reply is None:
        raise TypeError("around_upstream must return a Reply")
    return reply
