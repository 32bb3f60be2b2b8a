import pytest

from llmproxy.plugin import Endpoint, GatewayError, Tariff, Usage, price_usage
from llmproxy.runtime import Clock
from llmproxy_ledger.config import LedgerConfig, PriceConfig
from llmproxy_ledger.pricing import NOTHING, UNPRICED, Prices, rates_of

MINI = Endpoint("main", "gpt-4o-mini")


class Wall:
    """A clock that is set."""

    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def tariff():
    tariff = Tariff({"main": "openai"}, Clock())
    tariff.load_now()
    return tariff


def prices_of(tariff, told=None, wall=None, **config):
    listed = [] if told is None else told
    return Prices(LedgerConfig(directory="d", **config), tariff, wall or Wall(), listed.append)


def test_a_known_model_has_the_package_s_price_and_version(tariff):
    told = []
    priced = prices_of(tariff, told).of(MINI, None)

    assert price_usage(Usage(input=10**6, output=10**6), priced.rates) == 750_000
    assert priced.version.startswith("genai-prices-0.")
    assert told == [priced]


def test_the_configuration_s_price_counts_more(tariff):
    own = {"main/gpt-4o-mini": PriceConfig(input=1, output=2), "main/*": PriceConfig(input=3, output=4)}
    prices = prices_of(tariff, prices=own)

    assert prices.of(MINI, None).rates[0].input == 10**12
    assert prices.of(Endpoint("main"), "gpt-4o").rates[0].output == 4 * 10**12
    assert prices.of(MINI, None).version.startswith("config:")


def test_a_price_of_other_numbers_is_another_version(tariff):
    one, other = (prices_of(tariff, prices={"main/*": PriceConfig(input=n, output=1)}) for n in (1, 2))

    assert one.of(MINI, None).version != other.of(MINI, None).version


def test_what_has_no_model_has_no_price(tariff):
    assert prices_of(tariff).of(Endpoint("main"), None) is NOTHING


def test_an_unknown_price_is_nothing_or_the_ceiling_or_refused(tariff):
    nobody = Endpoint("main", "a-model-of-nobody")
    ceiling = prices_of(tariff, unknown_price="ceiling", ceiling_price=PriceConfig(input=7, output=8))
    refusing = prices_of(tariff, unknown_price="refuse")

    assert prices_of(tariff).of(nobody, None) is UNPRICED
    assert ceiling.of(nobody, None).rates[0].output == 8 * 10**12
    assert not ceiling.of(nobody, None).known
    with pytest.raises(GatewayError, match="not known"):
        refusing.check(nobody, refusing.of(nobody, None))
    refusing.check(MINI, refusing.of(MINI, None))


def test_rates_are_looked_up_again_after_a_while(tariff):
    told, wall = [], Wall()
    prices = prices_of(tariff, told, wall)
    prices.of(MINI, None)
    prices.of(MINI, None)
    wall.now += 31
    prices.of(MINI, None)

    assert len(told) == 2


def test_few_names_are_remembered():
    prices = prices_of(Tariff({}, Clock()))
    for number in range(5000):
        prices.of(Endpoint("main"), f"model-{number}")

    assert len(prices._found) <= 4096


def test_what_is_left_out_costs_as_its_likest():
    rates = rates_of(PriceConfig(input=0.15, output=0.6, request=0.001))

    assert (rates.cache_read, rates.cache_write, rates.reasoning) == (rates.input, rates.input, rates.output)
    assert rates.input == 150_000_000_000
    assert price_usage(Usage(), (rates,)) == 1000
