from decimal import Decimal

from llmproxy.plugin import Endpoint, Tariff, Usage
from llmproxy.runtime import Clock
from llmproxy_quota.config import PriceConfig, QuotaConfig
from llmproxy_quota.pricing import Pricing

USAGE = Usage(input=900, cache_read=50, cache_write=50, output=90, reasoning=10)


def pricing(**prices: PriceConfig) -> Pricing:
    tariff = Tariff({"main": "openai", "claude": "anthropic"}, Clock())
    tariff.load_now()
    return Pricing(QuotaConfig(store="s", limits=(), prices=prices), tariff)


def test_prices_of_the_configuration_go_first() -> None:
    own = pricing(
        **{
            "main/m": PriceConfig(input=Decimal("0.5"), output=Decimal(2)),
            "main/*": PriceConfig(input=Decimal(1), output=Decimal(1)),
        }
    )

    assert own.price(Endpoint("main", "m"), None, USAGE) == 700
    assert own.price(Endpoint("main"), "m", USAGE) == 700
    assert own.price(Endpoint("main", "other"), None, USAGE) == 1100
    assert own.most(Endpoint("main", "m"), None, (1001, 0)) == 501


def test_no_call_costs_more_than_its_bound() -> None:
    known = pricing()
    for endpoint in (Endpoint("main", "gpt-4o-mini"), Endpoint("claude", "claude-sonnet-4-5")):
        for size in (1, 100, 300_000):
            usage = Usage(input=size, cache_read=size, cache_write=size, output=size, reasoning=size)
            most = known.most(endpoint, None, (3 * size, 2 * size))
            cost = known.price(endpoint, None, usage)

            assert most is not None
            assert cost is not None
            assert 0 < cost <= most


def test_the_dearest_place_counts_and_one_that_is_not_known_makes_all_unknown() -> None:
    known = pricing()
    places = [Endpoint("main", "gpt-4o-mini"), Endpoint("main", "gpt-4o")]
    dear = known.dearest(places, None, (1000, 1000))

    assert dear == known.most(places[1], None, (1000, 1000))
    assert known.dearest([*places, Endpoint("other", "x")], None, (1, 1)) is None
    assert known.dearest([], None, (1, 1)) is None
