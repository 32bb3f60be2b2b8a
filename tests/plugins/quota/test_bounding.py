import orjson
import pytest

from llmproxy.plugin import BadRequest, Headers, UpstreamRequest
from llmproxy.testing import make_exchange
from llmproxy_quota.bounding import as_told, bounded
from llmproxy_quota.bounds import Bound
from llmproxy_quota.config import QuotaConfig

CONFIG = QuotaConfig(store="s", limits=(), output=100)


async def test_a_request_without_a_bound_is_sent_with_one() -> None:
    exchange = make_exchange(body={"model": "m", "metadata": {"max_tokens": 1}})

    bound = await bounded(exchange, CONFIG, hard=True)

    assert bound is not None
    assert bound.output == 100
    assert orjson.loads(await exchange.body())["max_completion_tokens"] == 100


async def test_a_bound_in_doubt_does_not_pass_a_hard_limit() -> None:
    exchange = make_exchange(body={"model": "m", "max_tokens": 1e9})

    with pytest.raises(BadRequest):
        await bounded(exchange, CONFIG, hard=True)
    assert await bounded(exchange, CONFIG, hard=False) is not None


def test_a_translation_that_may_say_more_is_bounded_by_that() -> None:
    bound = Bound(50, 1, 10, 1)
    request = UpstreamRequest("POST", "/messages", Headers(), b'{"max_tokens": 16385}')

    assert as_told(request, bound, CONFIG).output == 16_385


def test_a_translation_without_a_bound_gets_one() -> None:
    bound = Bound(50, 100, 10, 1)
    request = UpstreamRequest("POST", "/chat/completions", Headers(), b'{"model":"m"}')

    assert as_told(request, bound, CONFIG) is bound
    assert request.body == b'{"model":"m","max_completion_tokens":100}'
