"""Money is whole numbers, and none of it gets lost."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.exchange import Usage
from llmproxy.providers.prices import (
    DOLLAR,
    MICRODOLLAR,
    Scale,
    cost,
    covers,
    microdollars,
    per_million,
    price,
    rate,
    tiers,
)
from llmproxy.usage import Parts

BUCKETS = ("input", "cache_read", "cache_write", "output", "reasoning")

counts = st.integers(0, 10**7)
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, counts))
rates_ = st.integers(0, 10**15)
steps = st.lists(st.tuples(st.integers(0, 10**6), rates_), max_size=3, unique_by=lambda step: step[0])
scales = st.builds(Scale, rates_, steps.map(lambda each: tuple(sorted(each))))
priced = st.dictionaries(
    st.sampled_from(["cache_read", "cache_write", "cache_write_1h", "reasoning", "request"]), scales
).flatmap(lambda rest: st.tuples(scales, scales).map(lambda two: {"input": two[0], "output": two[1], **rest}))


@pytest.mark.parametrize(
    ("dollars", "attodollars", "shown"),
    [
        ("1", 10**12, "1"),
        ("0.075", 75 * 10**9, "0.075"),
        ("0.003625", 3625 * 10**6, "0.003625"),
        ("0", 0, "0"),
    ],
)
def test_a_price_is_a_whole_rate(dollars: str, attodollars: int, shown: str) -> None:
    assert rate(Decimal(dollars)) == attodollars
    assert per_million(attodollars) == shown


def test_a_price_that_arithmetic_left_noise_in_is_what_was_meant() -> None:
    assert rate(Decimal("0.18000000000000002")) == rate(Decimal("0.18"))


def test_a_call_costs_what_its_buckets_cost() -> None:
    table = {"input": 3, "output": 15, "cache_read": Decimal("0.3"), "cache_write": Decimal("3.75")}
    found = tiers({name: Scale(rate(Decimal(value))) for name, value in table.items()})
    usage = Usage(input=1000, cache_read=10_000, cache_write=200, output=300, reasoning=100)

    assert (
        cost(usage, found) == 3000 * MICRODOLLAR + 3000 * MICRODOLLAR + 750 * MICRODOLLAR + 6000 * MICRODOLLAR
    )
    assert price(usage, found) == 12_750


def test_what_has_no_price_of_its_own_costs_what_it_is_a_kind_of() -> None:
    [rates] = tiers({"input": Scale(2), "output": Scale(5)})

    assert (rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.reasoning) == (2, 2, 2, 5)
    assert rates.request == 0


def test_a_call_that_is_counted_in_units_costs_its_price_for_each() -> None:
    found = tiers({"input": Scale(1), "output": Scale(1), "request": Scale(2 * MICRODOLLAR)})

    assert price(Usage(units=3), found) == 6
    assert price(Usage(), found) == 2


def test_what_is_kept_an_hour_may_cost_more() -> None:
    found = tiers(
        {"input": Scale(1), "output": Scale(1), "cache_write": Scale(5), "cache_write_1h": Scale(8)}
    )

    assert cost(Usage(cache_write=10), found, cache_write_1h=4) == 6 * 5 + 4 * 8


@pytest.mark.parametrize(("cached", "expected"), [(199_000, 2), (199_001, 4)])
def test_a_long_prompt_costs_more_for_all_its_tokens_cached_ones_counted(cached: int, expected: int) -> None:
    found = tiers({"input": Scale(2, ((200_000, 4),)), "output": Scale(0), "cache_read": Scale(0)})

    assert cost(Usage(input=1000, cache_read=cached), found) == 1000 * expected


def test_buckets_may_rise_at_different_sizes() -> None:
    found = tiers({"input": Scale(1, ((10, 2), (20, 3))), "output": Scale(1, ((15, 5),))})

    assert [(rates.above, rates.input, rates.output) for rates in found] == [
        (20, 3, 5),
        (15, 2, 5),
        (10, 2, 1),
        (-1, 1, 1),
    ]


def test_a_call_itself_may_cost() -> None:
    assert cost(Usage(), tiers({"request": Scale(5 * MICRODOLLAR)})) == 5 * MICRODOLLAR


def test_tokens_that_are_no_text_have_prices_of_their_own_or_those_of_text() -> None:
    found = tiers(
        {"input": Scale(2), "output": Scale(10), "input_audio": Scale(6), "output_image": Scale(32)}
    )
    parts = Parts(input_audio=10, input_image=20, output_image=4, output_audio=1)

    assert cost(Usage(input=100, output=5), found) == 250
    assert cost(Usage(input=100, output=5, parts=parts), found) == 250 + 10 * (6 - 2) + 4 * (32 - 10)


def test_what_is_counted_in_units_costs_by_the_unit_and_a_call_of_its_model_nothing() -> None:
    found = tiers({"unit": Scale(3)})

    assert cost(Usage(units=7), found) == 21
    assert cost(Usage(), found) == 0


@pytest.mark.parametrize(
    ("rates", "usage", "told"),
    [
        ({"unit": Scale(3)}, Usage(units=7), True),
        ({"unit": Scale(3)}, Usage(), False),
        ({"input": Scale(3), "output": Scale(3)}, Usage(units=7), False),
        ({"input": Scale(3), "output": Scale(3)}, Usage(input=1, units=7), True),
        ({"input": Scale(3), "output": Scale(3), "request": Scale(1)}, Usage(units=7), True),
        ({"input": Scale(3), "output": Scale(3), "unit": Scale(1)}, Usage(input=7), True),
        ({"input": Scale(3), "output": Scale(3)}, Usage(), True),
    ],
)
def test_a_price_is_told_only_of_what_has_one(rates: dict[str, Scale], usage: Usage, told: bool) -> None:
    assert covers(tiers(rates), usage) is told
    assert not covers((), usage)


def test_what_has_no_price_cannot_be_priced() -> None:
    with pytest.raises(ValueError, match="no price"):
        cost(Usage(input=1), ())


@given(usages, priced)
def test_no_bucket_is_left_out_or_counted_twice(usage: Usage, table: dict[str, Scale]) -> None:
    found = tiers(table)
    prompt = usage.input + usage.cache_read + usage.cache_write
    instead = {"cache_read": "input", "cache_write": "input", "reasoning": "output"}

    def of(bucket: str) -> int:
        return table.get(bucket, table[instead.get(bucket, bucket)]).at(prompt)

    expected = sum(getattr(usage, bucket) * of(bucket) for bucket in BUCKETS)

    assert cost(usage, found) == expected + table.get("request", Scale(0)).at(prompt)


@given(usages, usages, priced)
def test_two_calls_under_one_rate_cost_what_they_cost_together(
    one: Usage, other: Usage, table: dict[str, Scale]
) -> None:
    flat = tiers({name: Scale(scale.base) for name, scale in table.items() if name != "request"})
    both = Usage(*(getattr(one, field) + getattr(other, field) for field in BUCKETS))

    assert cost(one, flat) + cost(other, flat) == cost(both, flat)


@given(usages, priced, st.sampled_from(BUCKETS), st.integers(1, 1000))
def test_more_tokens_never_cost_less(usage: Usage, table: dict[str, Scale], bucket: str, more: int) -> None:
    flat = tiers({name: Scale(scale.base) for name, scale in table.items()})
    larger = Usage(**{name: getattr(usage, name) + (more if name == bucket else 0) for name in BUCKETS})

    assert price(larger, flat) >= price(usage, flat) >= 0


@given(st.integers(0, 10**30))
def test_rounding_is_to_the_nearest_and_even_at_a_half(attodollars: int) -> None:
    assert microdollars(attodollars) == round(Fraction(attodollars, MICRODOLLAR))


@given(st.lists(st.integers(0, 10**20), max_size=50))
def test_rounding_once_is_within_half_a_microdollar(costs: list[int]) -> None:
    assert abs(microdollars(sum(costs)) * MICRODOLLAR - sum(costs)) * 2 <= MICRODOLLAR


def test_a_dollar_is_a_million_microdollars() -> None:
    assert microdollars(DOLLAR) == 10**6
