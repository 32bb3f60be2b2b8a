"""What the admin listener tells and hears, of several workers too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from llmproxy.bus import Answers, Bus
from llmproxy.peers import Peer
from llmproxy.plugin import AdminRequest, GatewayError
from llmproxy_semantic.hearing import Hearing

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.overseer import Overseer


class Seen:
    """An overseer that knows of one route."""

    def told(self) -> dict[str, Any]:
        return {"faq": {"samples": 3}}

    def report(self, route: str, exchange: str, tenant: str = "") -> bool:
        return "faq" in (route, exchange)


class Others(Bus):
    """A bus with one more worker, which answers all questions alike."""

    answered = b"known"

    async def ask(self, topic: str, payload: bytes = b"", *, timeout: float = 1.0) -> Answers:
        return Answers({Peer(1, 7): self.answered}, {})


def hearing(bus: Bus | None = None) -> Hearing:
    runtime = SimpleNamespace(bus=bus or Bus(None, 0))
    return Hearing(cast("Runtime", runtime), cast("Overseer", Seen()))


def asking(body: bytes = b"") -> AdminRequest:
    return AdminRequest(cast("Any", None), {}, body)


async def test_a_worker_alone_tells_its_routes() -> None:
    reply = await hearing().told(asking())

    assert orjson.loads(cast("bytes", reply.body)) == {"routes": {"faq": {"samples": 3}}}


async def test_of_several_workers_each_is_told() -> None:
    bus = Others(None, 0)
    bus.answered = b'{"faq": {"samples": 5}}'
    told = orjson.loads(cast("bytes", (await hearing(bus).told(asking())).body))

    assert told["routes"] == {"faq (worker 0)": {"samples": 3}, "faq (worker 1)": {"samples": 5}}


async def test_a_report_is_heard_wherever_the_answer_came_from() -> None:
    assert (await hearing().report(asking(b'{"exchange": "faq"}'))).status == 200
    assert (await hearing(Others(None, 0)).report(asking(b'{"exchange": "x"}'))).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"exchange": "x"}', 404),
        (b'{"route": "x"}', 404),
        (b"{}", 400),
        (b'{"route": "faq", "exchange": "x"}', 400),
        (b'{"rute": "faq"}', 400),
        (b"faq", 400),
    ],
)
async def test_a_report_of_nothing_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(GatewayError) as refused:
        await hearing().report(asking(body))

    assert refused.value.status == status
