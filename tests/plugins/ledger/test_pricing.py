import pytest

from llmproxy.plugin import Endpoint, GatewayError, PriceConfig, Tariff
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_ledger.config import LedgerConfig
from llmproxy_ledger.pricing import NOTHING, UNKNOWN, Prices

MINE = Endpoint("main", "mine")
NOBODY_S = Endpoint("main", "a-model-of-nobody")


def prices_of(told=None, **config):
    listed = [] if told is None else told
    tariff = Tariff({}, Clock(), {"main/mine": PriceConfig(input=1, output=2)})
    return Prices(LedgerConfig(directory="d", **config), tariff, lambda *price: listed.append(price))


def test_a_known_model_has_the_gateway_s_price_and_version():
    told = []
    prices = prices_of(told)
    charge = prices.of(make_exchange(), MINE)

    assert charge.known
    assert charge.rates[0].input == 10**12
    assert charge.version.startswith("config:")
    assert prices.of(make_exchange(), MINE) is charge
    assert told == [(charge.rates, charge.version)]


def test_what_has_no_model_has_no_price():
    assert prices_of().of(make_exchange(), Endpoint("main")) is NOTHING


def test_an_unknown_price_is_nothing_or_the_ceiling_or_refused():
    told = []
    ceiling = prices_of(told, unknown_price="ceiling", ceiling_price=PriceConfig(input=7, output=8))
    refusing = prices_of(unknown_price="refuse")
    charge = ceiling.of(make_exchange(), NOBODY_S)

    assert prices_of().of(make_exchange(), NOBODY_S) is UNKNOWN
    assert charge.rates[0].output == 8 * 10**12
    assert not charge.known
    assert told[0][1].startswith("ceiling:")
    with pytest.raises(GatewayError, match="not known"):
        refusing.check(NOBODY_S, refusing.of(make_exchange(), NOBODY_S))
    refusing.check(MINE, refusing.of(make_exchange(), MINE))


def test_few_versions_are_remembered():
    prices = prices_of()
    tariff = Tariff({}, Clock(), {f"main/{n}": PriceConfig(input=n, output=1) for n in range(5000)})
    prices._tariff = tariff
    for number in range(5000):
        prices.of(make_exchange(), Endpoint("main", str(number)))

    assert len(prices._known) <= 4096
