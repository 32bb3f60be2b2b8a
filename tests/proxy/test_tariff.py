from llmproxy.canonical import GenerateRequest, Message, Text
from llmproxy.exchange import Endpoint, Usage
from llmproxy.pricesettings import PriceConfig
from llmproxy.providers.prices import price
from llmproxy.runtime import Clock
from llmproxy.tariff import UNPRICED, Tariff, priced_as, versioned
from llmproxy.testing import make_exchange


async def test_a_call_to_a_known_provider_has_a_price_in_microdollars() -> None:
    tariff = Tariff({"main": "openai"}, Clock())
    await tariff.load()
    usage = Usage(input=1_000_000, output=1_000_000)
    price = tariff.price(Endpoint("main", "gpt-4o-mini"), usage)

    assert price == 750_000
    assert tariff.price(Endpoint("main"), usage, "gpt-4o-mini") == price


async def test_the_rates_that_hold_are_told_as_they_are() -> None:
    tariff = Tariff({"main": "openai"}, Clock())
    await tariff.load()
    rates = tariff.tiers(Endpoint("main", "gpt-4o-mini"))

    assert [each.output for each in rates] == [600_000_000_000]
    assert tariff.tiers(Endpoint("main"), "a-model-of-nobody") == ()


async def test_what_is_not_known_has_no_price() -> None:
    tariff = Tariff({"main": "openai"}, Clock())
    usage = Usage(input=1)

    assert tariff.price(Endpoint("main", "gpt-4o-mini"), usage) is None  # not loaded yet
    await tariff.load()
    assert tariff.price(Endpoint("main", "a-model-of-nobody"), usage) is None
    assert tariff.price(Endpoint("other", "gpt-4o-mini"), usage) is None
    assert tariff.price(Endpoint("main"), usage) is None


async def test_without_known_providers_the_catalogue_is_not_read() -> None:
    tariff = Tariff({}, Clock())
    await tariff.load()

    assert tariff.price(Endpoint("main", "gpt-4o-mini"), Usage(input=1)) is None


def test_the_catalogue_may_be_read_at_once_and_tells_windows() -> None:
    tariff = Tariff({"main": "openai"}, Clock())

    assert tariff.window(Endpoint("main", "gpt-4o-mini")) is None
    tariff.load_now()
    assert tariff.window(Endpoint("main", "gpt-4o-mini")) == 128_000
    assert tariff.window(Endpoint("main"), "gpt-4o-mini") == 128_000
    assert tariff.window(Endpoint("other", "gpt-4o-mini")) is None


def test_a_prompt_is_estimated_without_a_tokenizer() -> None:
    prompt = Message(role="user", content=(Text(text="one two three " * 100),))
    tokens = Tariff({}, Clock()).prompt_tokens(GenerateRequest(model="any", messages=(prompt,)))

    assert 250 <= tokens <= 350


class Wall(Clock):
    """A clock that is set."""

    at = 1_800_000_000.0

    def wall(self) -> float:
        return self.at


async def test_the_configuration_s_prices_count_more_than_the_catalogue_s() -> None:
    own = {"main/gpt-4o-mini": PriceConfig(input=1, output=2), "own/*": PriceConfig(input=3, output=4)}
    tariff = Tariff({"main": "openai"}, Clock(), own)
    await tariff.load()

    assert tariff.price(Endpoint("main", "gpt-4o-mini"), Usage(input=5, output=10)) == 25
    assert tariff.price(Endpoint("own"), Usage(input=5, output=10), "any") == 55
    assert tariff.priced(Endpoint("main", "gpt-4o-mini")).version.startswith("config:")
    assert tariff.priced(Endpoint("main", "gpt-4o")).version.startswith("genai-prices-0.")
    assert tariff.priced(Endpoint("own")) is UNPRICED


def test_what_is_left_out_costs_as_its_likest() -> None:
    [rates] = priced_as(PriceConfig(input=0.15, output=0.6, request=0.001), "config").rates

    assert (rates.cache_read, rates.cache_write, rates.reasoning) == (rates.input, rates.input, rates.output)
    assert rates.input == 150_000_000_000
    assert price(Usage(), (rates,)) == 1000


def test_prices_of_other_numbers_are_of_another_version() -> None:
    one, other = (priced_as(PriceConfig(input=n, output=1), "config") for n in (1, 2))

    assert one.version != other.version
    assert versioned(one.rates, "config") == one


def test_an_exchange_keeps_the_rates_that_it_began_with() -> None:
    clock = Wall()
    tariff = Tariff({"deep": "deepseek"}, clock)
    tariff.load_now()
    place, early, late = Endpoint("deep", "deepseek-chat"), make_exchange(), make_exchange()
    first = tariff.of(early, place)
    clock.at = 0.0

    assert tariff.priced(place) != first
    assert tariff.of(early, place) is first
    assert tariff.of(late, place) == tariff.priced(place)


def test_few_names_are_remembered() -> None:
    tariff = Tariff({}, Clock(), {"main/*": PriceConfig(input=1, output=1)})
    for number in range(5000):
        tariff.priced(Endpoint("main"), f"model-{number}")

    assert len(tariff._found) <= 4096
