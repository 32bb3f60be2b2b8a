"""What is compiled says the same as genai-prices, which is asked here for comparison."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data import providers as tabled
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.exchange import Usage
from llmproxy.providers.models import load_now
from llmproxy.providers.prices import DOLLAR, cost
from llmproxy.providers.table import Provider, by_name, providers

CATALOGUE = load_now()
SOURCES = {provider.id: provider for provider in tabled}
#: What genai-prices has and the gateway's dialects do not speak: an editor's models, speech sessions, decisions.
NOT_SPOKEN = {"cursor", "elevenlabs", "openai-decisions", "typesafe"}
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)

PAIRS = [(row, name, model) for row in providers() for name in row.sources for model in SOURCES[name].models]


def ours(row: Provider, source: str, model: Any) -> Any:
    return next(each for each in CATALOGUE.of(row.name) if each.name == model.id + row.sources[source])


def test_every_provider_that_genai_prices_knows_has_a_row() -> None:
    used = {source for row in providers() for source in row.sources}

    assert used | NOT_SPOKEN == SOURCES.keys()


def test_sixty_providers_and_a_thousand_models_are_listed_with_prices_and_windows() -> None:
    whole = [model for model in CATALOGUE.models if model.periods and model.window]

    assert len(whole) >= 1000
    assert len({model.provider for model in whole}) >= 60


def test_no_model_is_listed_twice() -> None:
    assert len({model.id for model in CATALOGUE.models}) == len(CATALOGUE.models)


def test_only_servers_of_ones_own_and_second_regions_list_no_model() -> None:
    listed = {model.provider for model in CATALOGUE.models}
    without = {row.name for row in providers()} - listed

    assert {name for name in without if by_name()[name].by_key} == set()


usages = st.builds(
    Usage,
    input=st.integers(0, 10**6),
    cache_read=st.integers(0, 10**6),
    cache_write=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    reasoning=st.integers(0, 10**6),
)
contexts = st.sampled_from(
    [{}, {"service_tier": "flex"}, {"service_tier": "priority"}, {"processing": "batch"}, {"speed": "fast"}]
)


@settings(max_examples=300)
@given(st.sampled_from(PAIRS), usages, contexts, st.integers(-800, 800), st.integers(0, 24 * 60))
def test_a_price_is_what_genai_prices_says(
    pair: tuple[Provider, str, Any], usage: Usage, context: dict[str, str], days: int, minutes: int
) -> None:
    row, source, model = pair
    at = NOW + timedelta(days=days, minutes=minutes)
    theirs = TheirUsage(
        input_tokens=usage.input + usage.cache_read + usage.cache_write,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output + usage.reasoning,
        output_reasoning_tokens=usage.reasoning,
    )
    try:
        expected = model.calc_price(
            theirs, SOURCES[source], genai_request_timestamp=at, price_context=context or None
        ).total_price
    except ValueError:  # it wants counts that token usage does not tell: audio, images
        return
    tiers = ours(row, source, model).tiers(at.timestamp(), context)
    if not tiers:
        return

    # Theirs rounds to 28 digits; prices that hold more than 12 decimals are rounded to those.
    tolerance = Decimal(usage.total + 1) * Decimal("1e-18")
    assert abs(Decimal(cost(usage, tiers)) / DOLLAR - expected) <= tolerance


@pytest.mark.parametrize(
    ("provider", "name", "id_"),
    [
        ("openai", "gpt-4o-2024-11-20", "openai/gpt-4o"),
        ("openai", "GPT-4o", "openai/gpt-4o"),
        ("openai", "gpt-5.2-20251211", "openai/gpt-5.2"),
        ("anthropic", "claude-3-5-haiku-20241022", "anthropic/claude-3-5-haiku-latest"),
        ("azure", "gpt-4o", "azure/gpt-4o"),
        ("gemini", "gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("deepinfra", "moonshotai/kimi-k2.6", "deepinfra/moonshotai/Kimi-K2.6"),
        ("huggingface", "openai/gpt-oss-120b:groq", "huggingface/openai/gpt-oss-120b:groq"),
    ],
)
def test_a_name_means_what_it_means_to_genai_prices(provider: str, name: str, id_: str) -> None:
    found = CATALOGUE.find(provider, name)

    assert found is not None
    assert found.id == id_


def test_every_listed_name_is_found_as_genai_prices_finds_it() -> None:
    for row, source, model in random.Random(3).sample(PAIRS, 200):
        expected = SOURCES[source].find_model(model.id, all_providers=tabled) or model
        found = CATALOGUE.find(row.name, model.id + row.sources[source])

        assert found is not None
        assert found.name == expected.id + row.sources[source]


@pytest.mark.parametrize("name", ["", "nothing", "x" * 1000, "gpt-4o\x00", "é"])
def test_an_unknown_name_is_not_found(name: str) -> None:
    assert CATALOGUE.find("groq", name) is None


def test_what_a_token_count_does_not_tell_is_named() -> None:
    model = CATALOGUE.find("openai", "gpt-4o")

    assert model is not None
    assert "web_searches_kcount" in model.beside


def test_what_a_cache_is_written_for_has_a_price_of_its_own_in_our_facts_too() -> None:
    model = CATALOGUE.find("vercel", "anthropic/claude-sonnet-5")
    assert model is not None

    (rates,) = model.tiers(at=NOW.timestamp())

    assert (rates.input, rates.cache_read, rates.cache_write) == (2 * 10**12, 2 * 10**11, 25 * 10**11)
