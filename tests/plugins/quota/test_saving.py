from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Endpoint, PriceConfig, Tariff, reserving
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_quota.config import LimitConfig, ThenConfig
from llmproxy_quota.pricing import Pricing
from llmproxy_quota.saving import foresee, is_bound, is_cheaper, is_near, named

PRICES = {
    "main/dear": PriceConfig(input=10, output=50),
    "main/cheap": PriceConfig(input=1, output=5),
}
PRICING = Pricing(Tariff({}, Clock(), PRICES))
DEAR, CHEAP = Endpoint("main", "dear"), Endpoint("main", "cheap")


def limit() -> LimitConfig:
    return LimitConfig(
        name="budget",
        counts="money",
        at_most=Decimal(1),
        window="month",
        near=Decimal("0.9"),
        then=ThenConfig(model="cheap"),
    )


@given(st.integers(0, 1_000_000))
def test_a_limit_is_near_its_end_above_the_share_that_it_names(taken: int) -> None:
    standing = reserving.Standing(True, 1_000_000 - taken, 0)

    assert is_near(limit(), standing) == (taken > 900_000)


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        (b'{"messages": [{"role": "user", "content": "previous_response_id"}]}', False),
        (b'{"previous_response_id": "resp_1"}', True),
        (b'{"input": [{"type": "reasoning", "encrypted_content": "x"}]}', True),
        (b'{"content": [{"type": "thinking", "thinking": "", "signature": "x"}]}', True),
        (b'{"parts": [{"thoughtSignature": "x"}]}', True),
        (b'{"cachedContent": "cachedContents/1"}', True),
    ],
)
def test_what_a_model_made_binds_a_request_to_it(body: bytes, bound: bool) -> None:
    assert is_bound(body) == bound


def places(*endpoints: Endpoint) -> Sequence[Endpoint]:
    return endpoints


def test_only_what_costs_less_saves_and_only_where_both_prices_are_known() -> None:
    exchange = make_exchange()

    assert is_cheaper(PRICING, exchange, places(CHEAP), places(DEAR), 100)
    assert is_cheaper(PRICING, exchange, places(CHEAP), places(CHEAP, DEAR), 100)
    assert not is_cheaper(PRICING, exchange, places(CHEAP, DEAR), places(DEAR), 100)
    assert not is_cheaper(PRICING, exchange, places(DEAR), places(CHEAP), 100)
    assert not is_cheaper(PRICING, exchange, places(Endpoint("main", "x")), places(DEAR), 100)
    assert not is_cheaper(PRICING, exchange, places(CHEAP), places(Endpoint("main", "x")), 100)


def test_places_say_which_model_they_are_asked_for() -> None:
    assert named(places(Endpoint("main")), "cheap") == (CHEAP,)
    assert named(places(DEAR), "cheap") == (DEAR,)
    assert named(None, "cheap") is None


def test_what_would_happen_is_foreseen() -> None:
    [(name, text)] = foresee([limit()], b"{}")
    [(_, bound)] = foresee([limit()], b'{"previous_response_id": "r"}')

    assert (name, text) == ("limit budget", "above 90 % taken, 'cheap' answers if it costs less")
    assert "not this request" in bound
