"""All calls of one request: each begins as soon as what it needs is there, and failures go by their policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmproxy.plugin import BadRequest, GatewayError, Omitted
from llmproxy_aggregate.calling import Bad, Good, Relayed
from llmproxy_aggregate.values import REQUEST

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange
    from llmproxy_aggregate.calling import Calling
    from llmproxy_aggregate.plan import Plan, PlannedCall


class Gathering:
    """The calls of one request; `values` gets what they give, `good` and `bad` how they went."""

    def __init__(
        self,
        plan: Plan,
        calling: Calling,
        exchange: Exchange,
        values: dict[str, Any],
        count: Callable[[str, str], None],
    ) -> None:
        self._plan = plan
        self._calling = calling
        self._exchange = exchange
        self._count = count
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.values = values
        self.good: dict[str, Good] = {}
        self.bad: dict[str, Bad] = {}

    async def run(self) -> None:
        """Make all calls; the first that must not fail and does ends the others.

        Raises:
            GatewayError: what the caller is told of that one.
            Relayed: the caller gets the answer of one of them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for call in self._plan.calls:
                    self._tasks[call.name] = group.create_task(self._one(call))
        except BaseExceptionGroup as faults:
            raise _first(faults) from None

    async def _one(self, call: PlannedCall) -> None:
        for name in call.needs:
            await self._tasks[name]
        try:
            result = await self._calling.make(self._exchange, call, self.values)
        except Relayed:
            self._count(call.name, "relayed")
            raise
        if isinstance(result, Good):
            self._count(call.name, "ok")
            self.good[call.name] = result
            self.values[call.name] = result.value
        else:
            self._count(call.name, result.reason)
            self._failed(call, result)

    def _failed(self, call: PlannedCall, bad: Bad) -> None:
        policy = call.settings.on_failure
        if policy == "fail":
            raise refusal(call.name, bad)
        self.bad[call.name] = bad
        instead = {"null": None, "omit": Omitted(call.name), "default": call.settings.default}
        self.values[call.name] = instead[policy]


def refusal(name: str, bad: Bad) -> GatewayError:
    """Return what a caller is told where a call must not fail and did."""
    if bad.reason == "missing" and bad.source in REQUEST:
        return BadRequest("missing_value", f"The request's {bad.source} lacks what call {name!r} needs.")
    if bad.reason == "timeout":
        return GatewayError(504, "call_timeout", f"Call {name!r} took too long.")
    if bad.status == 508:
        return GatewayError(
            508, "aggregate_loop", f"Call {name!r} leads to too many calls within one another."
        )
    told = f"Call {name!r} failed: {bad.reason}{'' if bad.status is None else f' {bad.status}'}."
    if bad.status in {429, 503}:
        return GatewayError(503, "call_failed", told, retry_after=bad.retry_after)
    return GatewayError(502, "call_failed", told)


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the fault that ended the others; one that nobody meant counts before those that were."""
    fault = next((each for each in faults.exceptions if not _meant(each)), faults.exceptions[0])
    return _first(fault) if isinstance(fault, BaseExceptionGroup) else fault


def _meant(fault: BaseException) -> bool:
    return isinstance(fault, GatewayError | Relayed)
