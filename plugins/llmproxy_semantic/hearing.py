"""What the admin listener tells of routes under verification, and hears of wrong answers, for all workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.plugin import GatewayError, Reply

if TYPE_CHECKING:
    from llmproxy.plugin import AdminRequest, Runtime
    from llmproxy_semantic.overseer import Overseer

_TELL: Final = "semantic.told"
_HEAR: Final = "semantic.reported"
_KNOWN: Final = b"known"


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wrong answer by likeness: its exchange (`X-Request-Id`), or, where nobody knows that, its route and tenant."""

    route: str = ""
    exchange: str = ""
    tenant: str = ""


_read: Final = msgspec.json.Decoder(Report).decode


class Hearing:
    """Answers admin requests, and other workers that were asked one."""

    def __init__(self, runtime: Runtime, overseer: Overseer | None) -> None:
        self._bus = runtime.bus
        self._overseer = overseer

    @contextmanager
    def open(self) -> Iterator[None]:
        """Answer other workers for a while."""
        ends = (
            self._bus.answer(_TELL, lambda *_: orjson.dumps(self._told())),
            self._bus.answer(_HEAR, lambda payload, _: _KNOWN if self._heard(_read(payload)) else b""),
        )
        try:
            yield
        finally:
            for end in ends:
                end()

    def _told(self) -> dict[str, Any]:
        return {} if self._overseer is None else self._overseer.told()

    def _heard(self, report: Report) -> bool:
        return self._overseer is not None and self._overseer.report(
            report.route, report.exchange, report.tenant
        )

    async def told(self, request: AdminRequest) -> Reply:
        """Answer `GET /semantic`: each worker learns for itself."""
        answers = await self._bus.ask(_TELL)
        if not answers.payloads and not answers.missing:
            return Reply.json({"routes": self._told()})
        told = {self._bus.me.slot: self._told()}
        told |= {peer.slot: orjson.loads(payload) for peer, payload in answers.payloads.items()}
        routes = {
            f"{name} (worker {slot})": route
            for slot, known in sorted(told.items())
            for name, route in known.items()
        }
        return Reply.json({"routes": routes, "workers_unaware": [peer.slot for peer in answers.missing]})

    async def report(self, request: AdminRequest) -> Reply:
        """Answer `POST /semantic/reports`."""
        try:
            report = _read(request.body)
        except msgspec.DecodeError as fault:
            raise GatewayError(400, "bad_report", str(fault)) from None
        if bool(report.route) == bool(report.exchange):
            raise GatewayError(400, "bad_report", "A report names either an 'exchange' or a 'route'.")
        here = self._heard(report)
        there = await self._bus.ask(_HEAR, msgspec.json.encode(report))
        if not here and _KNOWN not in there.payloads.values():
            message = (
                "No answer by likeness under verification is known by that name; it may be too long ago."
            )
            raise GatewayError(404, "not_known", message)
        return Reply.json({"reported": True})
