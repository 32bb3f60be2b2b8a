from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from llmproxy.asking import LARGEST, ask
from llmproxy.body import BodyTooLarge
from llmproxy.errors import UpstreamError, UpstreamTimeout
from llmproxy.exchange import Endpoint
from llmproxy.keyring import Keyring, KeyState
from llmproxy.membership import Membership
from llmproxy.messages import Reply
from llmproxy.settings import UpstreamConfig
from llmproxy.testing import FakeUpstream
from llmproxy.testing.exchanges import NOWHERE
from llmproxy.upstream import Upstream


def members(upstream: Upstream) -> Membership:
    known = {Endpoint("u"): upstream}
    return cast("Membership", SimpleNamespace(upstream=known.get))


async def asked(url: str, within: float = 5.0) -> Reply:
    upstream = Upstream("u", UpstreamConfig(base_url=url, proxy=None), [(b"Authorization", b"Bearer k")])
    try:
        return await ask(members(upstream), "u", "/embeddings", b'{"a":1}', within, 0.0)
    finally:
        upstream.close()


async def test_the_whole_answer_is_returned_whatever_its_status() -> None:
    async with FakeUpstream().reply(200, body=b"[1]").reply(500, body=b"[2]") as upstream:
        replies = [await asked(f"{upstream.url}/v1"), await asked(f"{upstream.url}/v1")]

    assert [(reply.status, reply.body) for reply in replies] == [(200, b"[1]"), (500, b"[2]")]
    assert [(each.method, each.target, each.body) for each in upstream.requests] == [
        ("POST", "/v1/embeddings", b'{"a":1}')
    ] * 2
    assert dict(upstream.requests[0].headers)[b"Authorization"] == b"Bearer k"
    assert dict(upstream.requests[0].headers)[b"Content-Type"] == b"application/json"


async def test_who_cannot_be_reached_is_told() -> None:
    with pytest.raises(UpstreamError) as caught:
        await asked(NOWHERE)

    assert caught.value.code == "upstream_unreachable"


async def test_who_does_not_answer_in_time_is_told() -> None:
    async with FakeUpstream().stall() as upstream:
        with pytest.raises(UpstreamTimeout) as caught:
            await asked(upstream.url, within=0.05)

    assert caught.value.sent


async def test_an_answer_that_is_too_large_is_not_read() -> None:
    async with FakeUpstream().reply(200, body=b"x" * (LARGEST + 1)) as upstream:
        with pytest.raises(BodyTooLarge):
            await asked(upstream.url)


async def test_a_key_that_is_refused_rests() -> None:
    keys = Keyring([KeyState(), KeyState()])
    async with FakeUpstream().reply(401).reply(200).reply(200) as fake:
        config = UpstreamConfig(base_url=fake.url, proxy=None)
        keyed = [[(b"Authorization", b"Bearer one")], [(b"Authorization", b"Bearer two")]]
        upstream = Upstream("u", config, keyed=keyed, keys=keys)
        for now in (1.0, 2.0, 3.0):
            await ask(members(upstream), "u", "/x", b"{}", 5.0, now)
        upstream.close()

    assert [dict(each.headers)[b"Authorization"] for each in fake.requests] == [
        b"Bearer one",
        b"Bearer two",
        b"Bearer two",
    ]
