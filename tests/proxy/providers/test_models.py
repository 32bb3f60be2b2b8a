from __future__ import annotations

import asyncio

import pytest

from llmproxy.providers.models import Catalogue, Model, Period, Times, Variant, load, load_now
from llmproxy.providers.prices import Scale, tiers

NOON = 12 * 3600


def period(rate: int, **times: object) -> Period:
    priced = {"input": Scale(rate), "output": Scale(rate)}
    return Period(times=Times(**times), priced=priced, tiers=tiers(priced))  # type: ignore[arg-type]


def input_rate(model: Model, at: float, **context: str) -> int:
    return model.tiers(at, context)[0].input


@pytest.mark.parametrize(
    ("times", "at", "holds"),
    [
        (Times(), 0, True),
        (Times(since=100), 99, False),
        (Times(since=100), 100, True),
        (Times(daily=(NOON, NOON + 10)), 86_400 + NOON, True),
        (Times(daily=(NOON, NOON + 10)), NOON + 10, False),
        (Times(daily=(NOON, 10)), 5, True),
        (Times(daily=(NOON, 10)), NOON - 1, False),
    ],
)
def test_a_price_holds_at_its_times(times: Times, at: int, holds: bool) -> None:
    assert times.hold(at) is holds


def test_the_last_price_whose_time_has_come_counts() -> None:
    model = Model(provider="p", name="m", periods=(period(1), period(2, since=100), period(3, since=200)))

    assert [input_rate(model, at) for at in (0, 100, 250)] == [1, 2, 3]


def test_before_every_time_the_first_price_counts() -> None:
    assert input_rate(Model(provider="p", name="m", periods=(period(1, since=100),)), 0) == 1


def test_a_way_to_call_changes_the_prices_that_it_names_the_first_that_fits_first() -> None:
    flex = Variant(when={"service_tier": "flex"}, priced={"input": Scale(5)})
    later = Variant(when={"service_tier": "flex"}, priced={"input": Scale(7), "output": Scale(9)})
    model = Model(provider="p", name="m", periods=(period(10),), variants=(flex, later))

    [rates] = model.tiers(0, {"service_tier": "flex"})

    assert (rates.input, rates.output) == (5, 9)
    assert input_rate(model, 0, service_tier="default") == 10


def test_a_model_without_a_price_has_no_rates() -> None:
    assert Model(provider="p", name="m").tiers(0) == ()


def test_a_model_is_found_by_what_means_it() -> None:
    new, old = (Model(provider="p", name=name) for name in ("new-2025-12-11", "old"))
    chain = [(lambda name: name == "new-2025-12-11", new), (lambda name: name.startswith("o"), old)]
    catalogue = Catalogue([old, new], {"p": [(":x", chain), ("", chain[1:])]})

    assert catalogue.find("p", "NEW-20251211:x") is new
    assert catalogue.find("p", "new-2025-12-12") is None
    assert catalogue.find("p", "new-2025-12-11") is new
    assert catalogue.find("p", "Other") is old
    assert catalogue.find("q", "old") is None
    assert catalogue.find("p", "o" * 300) is None
    assert catalogue.of("p") == (new, old)
    assert new.id == "p/new-2025-12-11"


async def test_the_catalogue_is_compiled_once_beside_the_loop() -> None:
    one, other = await asyncio.gather(load(), load())  # two at once is the point

    assert one is other is load_now()
