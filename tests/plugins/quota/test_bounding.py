import orjson
import pytest

from llmproxy.plugin import BadRequest, Headers, UpstreamRequest
from llmproxy.testing import make_exchange
from llmproxy_quota.bounding import Bounds, as_told
from llmproxy_quota.bounds import Bound
from llmproxy_quota.config import QuotaConfig

CONFIG = QuotaConfig(store="s", limits=(), output=100)


async def test_a_request_without_a_bound_is_sent_with_one() -> None:
    exchange = make_exchange(body={"model": "m", "metadata": {"max_tokens": 1}})

    bound = await Bounds(CONFIG).of(exchange, hard=True)

    assert bound is not None
    assert bound.output == 100
    assert orjson.loads(await exchange.body())["max_completion_tokens"] == 100


async def test_a_bound_in_doubt_does_not_pass_a_hard_limit() -> None:
    exchange = make_exchange(body={"model": "m", "max_tokens": 1e9})

    with pytest.raises(BadRequest):
        await Bounds(CONFIG).of(exchange, hard=True)
    assert await Bounds(CONFIG).of(exchange, hard=False) is not None


def test_a_translation_that_may_say_more_is_bounded_by_that() -> None:
    bound = Bound(50, 1, 10, 1)
    request = UpstreamRequest("POST", "/messages", Headers(), b'{"max_tokens": 16385}')

    assert as_told(request, bound, CONFIG).output == 16_385


def test_a_translation_without_a_bound_gets_one() -> None:
    bound = Bound(50, 100, 10, 1)
    request = UpstreamRequest("POST", "/chat/completions", Headers(), b'{"model":"m"}')

    assert as_told(request, bound, CONFIG) is bound
    assert request.body == b'{"model":"m","max_completion_tokens":100}'


async def test_what_comes_again_is_bounded_as_it_was() -> None:
    bounds = Bounds(CONFIG)
    found = [
        await bounds.of(make_exchange(body={"model": "m", "max_tokens": most}), hard=True)
        for most in (7, 9, 7)
    ]

    assert [bound.output for bound in found if bound is not None] == [7, 9, 7]
    assert found[0] is found[2]


async def test_a_path_that_is_another_call_is_bounded_anew() -> None:
    bounds, body = Bounds(CONFIG), {"model": "m", "max_tokens": 7}
    chat = await bounds.of(make_exchange(body=body), hard=True)
    reads = await bounds.of(make_exchange(path="/v1/embeddings", body=body), hard=True)
    counts = await bounds.of(make_exchange(path="/v1/messages/count_tokens", body=body), hard=True)

    assert chat is not None
    assert reads is not None
    assert (chat.output, reads.output, counts) == (7, 0, None)


async def test_what_cannot_be_bounded_is_refused_each_time() -> None:
    bounds = Bounds(CONFIG)
    for _ in range(2):
        with pytest.raises(BadRequest):
            await bounds.of(make_exchange(body={"model": "m", "max_tokens": 1e9}), hard=True)
