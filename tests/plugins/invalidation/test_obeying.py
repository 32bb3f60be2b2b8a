from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.caches import Purge, PurgeOrder, PurgeOutcome
from llmproxy.plugin import GatewayError, Metrics
from llmproxy_invalidation.events import BadEvent
from llmproxy_invalidation.obeying import Obeying

ORDER = PurgeOrder((Purge("all"),))


class Gateway:
    """A runtime whose purges end as they are told to."""

    name = "invalidation"

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.outcome: Any = PurgeOutcome({"main": SimpleNamespace(everywhere=True)})  # type: ignore[dict-item]
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.log = SimpleNamespace(warning=lambda name, **told: self.lines.append((name, told)))

    async def purge(self, *purges: Purge, store: str | None = None) -> PurgeOutcome:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        assert isinstance(self.outcome, PurgeOutcome)
        return self.outcome

    def counted(self) -> str:
        text = self.metrics.exposition([self.metrics.snapshot()])
        return " ".join(
            line.partition('result="')[2].partition('"')[0]
            for line in text.splitlines()
            if 'result="' in line
        )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def obeying(gateway: Any) -> Obeying:
    return Obeying(gateway, "webhook")


async def test_an_order_is_done_and_counted(gateway: Gateway) -> None:
    assert await obeying(gateway).obey(ORDER) is gateway.outcome
    assert gateway.counted() == "purged"


async def test_an_order_without_purges_is_ignored(gateway: Gateway) -> None:
    assert await obeying(gateway).obey(PurgeOrder(())) is None
    assert gateway.counted() == "ignored"


async def test_where_nothing_is_cached_nothing_is_to_be_done(gateway: Gateway) -> None:
    gateway.outcome = GatewayError(404, "no_cache", "none")

    assert await obeying(gateway).obey(ORDER) is None
    with pytest.raises(GatewayError):
        await obeying(gateway).obey(ORDER._replace(store="other"))
    assert gateway.counted() == "no_cache"


async def test_an_event_that_nobody_waits_for_comes_again_only_if_other_hosts_did_not_hear(
    gateway: Gateway,
) -> None:
    obey = obeying(gateway)
    assert await obey.try_to(lambda: ORDER)
    gateway.outcome = PurgeOutcome({"main": SimpleNamespace(everywhere=False)})  # type: ignore[dict-item]

    assert not await obey.try_to(lambda: ORDER)
    assert gateway.counted() == "purged purged_here_only"


async def test_an_event_that_cannot_be_understood_is_told_and_does_not_come_again(gateway: Gateway) -> None:
    def read() -> PurgeOrder:
        raise BadEvent("the event is not JSON")

    assert await obeying(gateway).try_to(read)
    assert gateway.lines == [("event_refused", {"source": "webhook", "reason": "the event is not JSON"})]
    obeying(gateway).away(OSError("secret place"))
    assert gateway.lines[-1] == ("event_source_away", {"source": "webhook", "fault": "OSError"})
