from __future__ import annotations

import pytest

from llmproxy.errors import UpstreamError, UpstreamTimeout
from llmproxy.probe import probe
from llmproxy.settings import UpstreamConfig
from llmproxy.testing import FakeUpstream
from llmproxy.testing.exchanges import NOWHERE
from llmproxy.upstream import Upstream


async def asked(url: str, within: float = 5.0) -> int:
    return await probe(Upstream("u", UpstreamConfig(base_url=url, proxy=None)), "/health", within)


async def test_the_answers_status_is_what_counts() -> None:
    async with FakeUpstream().reply(503).reply(204) as upstream:
        statuses = [await asked(f"{upstream.url}/v1"), await asked(f"{upstream.url}/v1")]

    assert statuses == [503, 204]
    assert [each.target for each in upstream.requests] == ["/v1/health"] * 2
    assert upstream.connections == 2


async def test_an_answer_that_goes_on_is_not_waited_for() -> None:
    async with FakeUpstream().reply(200, body=b"x" * 10, then="stall", after=60) as upstream:
        assert await asked(upstream.url) == 200


async def test_who_cannot_be_reached_is_told() -> None:
    with pytest.raises(UpstreamError) as caught:
        await asked(NOWHERE)

    assert (caught.value.code, caught.value.sent) == ("upstream_unreachable", False)


async def test_who_does_not_answer_in_time_is_told() -> None:
    async with FakeUpstream().stall() as upstream:
        with pytest.raises(UpstreamTimeout) as caught:
            await asked(upstream.url, within=0.05)

    assert caught.value.sent
