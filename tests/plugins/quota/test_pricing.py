from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Attempt, Endpoint, PriceConfig, Tariff, Usage, price_usage, priced_as
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_quota.pricing import Pricing, bound

KNOWN = Tariff(
    {"main": "openai", "claude": "anthropic"}, Clock(), {"own/m": PriceConfig(input=0.5, output=2)}
)
KNOWN.load_now()
PRICING = Pricing(KNOWN)


def used(endpoint: Endpoint, usage: Usage) -> Attempt:
    attempt = Attempt(1, endpoint, 0.0)
    attempt.usage = usage
    return attempt


def test_what_a_call_costs_is_the_gateway_s_price():
    usage = Usage(input=900, cache_read=50, cache_write=50, output=90, reasoning=10)

    assert PRICING.price(make_exchange(), used(Endpoint("own", "m"), usage)) == 700
    assert PRICING.price(make_exchange(), used(Endpoint("own", "other"), usage)) is None
    assert PRICING.most(make_exchange(), Endpoint("own", "m"), (1001, 0)) == 501


COUNT = st.integers(0, 10**6)
PRICE = st.floats(0, 1000)
PRICES = st.builds(
    PriceConfig,
    **dict.fromkeys(PriceConfig.__struct_fields__, PRICE) | {"request": st.floats(0, 1), "unit": st.none()},
)


@given(st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT), PRICES)
def test_no_call_costs_more_than_its_bound(usage, price):
    rates = priced_as(price, "test").rates
    read = usage.input + usage.cache_read + usage.cache_write

    assert price_usage(usage, rates) <= bound(rates, (read, usage.output + usage.reasoning))


@given(st.builds(Usage, COUNT, units=st.integers(0, 10**4)), st.floats(0, 1), st.none() | st.floats(0, 1))
def test_units_are_bounded_with_the_call(usage, request, unit):
    rates = priced_as(PriceConfig(input=1, output=1, request=request, unit=unit), "test").rates

    assert price_usage(usage, rates) <= bound(rates, (usage.input, 0), max(1, usage.units))


def test_no_call_to_a_provider_costs_more_than_its_bound():
    for endpoint in (Endpoint("main", "gpt-4o-mini"), Endpoint("claude", "claude-sonnet-4-5")):
        for size in (1, 100, 300_000):
            usage = Usage(input=size, cache_read=size, cache_write=size, output=size, reasoning=size)
            most = PRICING.most(make_exchange(), endpoint, (3 * size, 2 * size))
            cost = PRICING.price(make_exchange(), used(endpoint, usage))

            assert most is not None
            assert cost is not None
            assert 0 < cost <= most


def test_the_dearest_place_counts_and_one_that_is_not_known_makes_all_unknown():
    places = [Endpoint("main", "gpt-4o-mini"), Endpoint("main", "gpt-4o")]
    dear = PRICING.dearest(make_exchange(), places, (1000, 1000))

    assert dear == PRICING.most(make_exchange(), places[1], (1000, 1000))
    assert PRICING.dearest(make_exchange(), [*places, Endpoint("other", "x")], (1, 1)) is None
    assert PRICING.dearest(make_exchange(), [], (1, 1)) is None
