from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.caches import PurgeOrder, PurgeOutcome
from llmproxy.plugin import GatewayError, Reply, Secret
from llmproxy.testing import make_exchange
from llmproxy_invalidation.config import Webhook
from llmproxy_invalidation.naming import EventRule
from llmproxy_invalidation.webhooks import WebhookReceiver

SECRET = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {SECRET}"}


class Obeying:
    """Keeps what is ordered; says what it is told to say."""

    def __init__(self) -> None:
        self.orders: list[PurgeOrder] = []
        self.refusals: list[Exception] = []
        self.outcome: PurgeOutcome | None = PurgeOutcome({}, 1)

    async def obey(self, order: PurgeOrder) -> PurgeOutcome | None:
        self.orders.append(order)
        return self.outcome

    def refused(self, fault: Exception) -> None:
        self.refusals.append(fault)


@pytest.fixture
def obeying() -> Obeying:
    return Obeying()


def receiver(obeying: Any, **told: Any) -> WebhookReceiver:
    webhook = Webhook(**{"path": "/h", "secrets": (Secret(SECRET),), "auth": "bearer", **told})
    clock: Any = SimpleNamespace(wall=lambda: 1_700_000_000.0)
    return WebhookReceiver(webhook, obeying, clock)


async def post(to: WebhookReceiver, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    fields = {"Content-Length": str(len(body)), **(BEARER if headers is None else headers)}
    return await to.receive(make_exchange("POST", "/h", headers=fields, body=body))


async def refusal(to: WebhookReceiver, body: bytes, headers: dict[str, str] | None = None) -> int:
    with pytest.raises(GatewayError) as caught:
        await post(to, body, headers)
    return caught.value.status


async def test_an_event_is_obeyed_and_told(obeying: Obeying) -> None:
    to = receiver(obeying, events=(EventRule(tags=("p:{id}",)),), purges="main")
    reply = await post(to, b'{"id": 1}')

    assert reply.status == 200
    assert obeying.orders[0].store == "main"
    assert obeying.orders[0].purges[0].values == ("p:1",)


async def test_an_event_of_no_consequence_is_taken(obeying: Obeying) -> None:
    obeying.outcome = None
    reply = await post(receiver(obeying), b'{"tags": ["a"]}')

    assert (reply.status, b'"purged":false' in bytes(reply.body)) == (200, True)  # type: ignore[arg-type]


async def test_an_event_that_cannot_be_understood_says_why(obeying: Obeying) -> None:
    to = receiver(obeying, events=(EventRule(tags=("p:{id}",)),))

    assert await refusal(to, b"{}") == 422
    assert "as 'id'" in str(obeying.refusals[0])
    assert await refusal(receiver(obeying), b"{}") == 400
    assert not obeying.orders


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"webhook-id": "1"}])
@pytest.mark.parametrize("auth", ["bearer", "signature"])
async def test_nobody_purges_without_the_secret(obeying: Obeying, headers: dict[str, str], auth: str) -> None:
    assert await refusal(receiver(obeying, auth=auth), b'{"all": true}', headers) == 401
    assert not obeying.orders


async def test_a_long_event_is_not_read(obeying: Obeying) -> None:
    to = receiver(obeying, max_body=10, auth="signature")

    assert await refusal(to, b'{"all": true}') == 413
    with pytest.raises(GatewayError, match="length"):
        await to.receive(make_exchange("POST", "/h", body=b"{}"))
