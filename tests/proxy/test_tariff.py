from llmproxy.canonical import GenerateRequest, Message, Text
from llmproxy.exchange import Endpoint, Usage
from llmproxy.runtime import Clock
from llmproxy.tariff import Tariff


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
