"""What a route charges for answers that no call was made for."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.exchange import Attempt, Endpoint, Exchange, Usage
from llmproxy.pricesettings import ChargingConfig, PriceConfig
from llmproxy.providers.prices import price
from llmproxy.secondhand import FOLLOWED, HIT, Secondhand, is_charged, part_of, secondhand, share_of
from llmproxy.tariff import UNPRICED, priced_as
from llmproxy.testing import make_exchange

PLACE = Endpoint("main", "m")
ABOUT = SimpleNamespace(upstream="main", model="m", usage=(7, 1, 0, 5, 2))


def exchange_of(terms: ChargingConfig | None) -> Exchange:
    exchange = make_exchange()
    exchange.route.charging = terms
    return exchange


def test_nothing_is_charged_unless_the_route_says_so() -> None:
    for terms in (None, ChargingConfig(), ChargingConfig(followers=1)):
        exchange = exchange_of(terms)
        exchange.state[HIT] = ABOUT

        assert secondhand(exchange) is None
        assert not is_charged(exchange)


def test_a_hit_is_charged_what_its_answer_had_used() -> None:
    exchange = exchange_of(ChargingConfig(hits=0.25))
    exchange.state[HIT] = ABOUT

    assert secondhand(exchange) == Secondhand("hit", PLACE, Usage(7, 1, 0, 5, 2), 250_000)
    assert Secondhand("hit", PLACE, Usage(7, 1, 0, 5, 2), 250_000).tokens == 4


def test_what_nobody_told_the_usage_of_is_not_charged() -> None:
    exchange = exchange_of(ChargingConfig(hits=1))
    exchange.state[HIT] = SimpleNamespace(upstream="main", model="m", usage=())

    assert is_charged(exchange)
    assert secondhand(exchange) is None


def test_who_makes_a_call_is_charged_for_that_alone() -> None:
    exchange = exchange_of(ChargingConfig(hits=1, followers=1))
    exchange.state[HIT] = ABOUT
    exchange.attempts.append(Attempt(1, PLACE, 0.0))

    assert share_of(exchange) == 0


@pytest.mark.parametrize("ended", ["whole", "broken", "left"])
def test_a_follower_is_charged_once_its_answer_is_whole(ended: str) -> None:
    exchange = exchange_of(ChargingConfig(followers=1))
    told: list[Usage] = []
    exchange.state[FOLLOWED] = lambda: told[0] if told else None
    exchange.endpoint = PLACE

    assert secondhand(exchange) is None
    told.append(Usage(input=3))
    exchange.outcome.error = "upstream_cut" if ended == "broken" else ""
    exchange.outcome.client_gone = ended == "left"
    assert (secondhand(exchange) is not None) == (ended == "whole")


COUNT = st.integers(0, 10**5)
USAGE = st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT)
DOLLARS = st.floats(0, 1000)
PRICE = st.builds(PriceConfig, input=DOLLARS, output=DOLLARS, cache_read=DOLLARS, request=st.floats(0, 1))
SHARE = st.integers(0, 1_000_000)


@given(USAGE, PRICE, st.lists(SHARE, max_size=20))
def test_charges_add_up_to_the_call_and_the_shares_of_all_others(
    usage: Usage, dollars: PriceConfig, shares: list[int]
) -> None:
    priced = priced_as(dollars, "config")
    whole = price(usage, priced.rates)
    charged = [price(usage, Secondhand("hit", PLACE, usage, share).priced(priced).rates) for share in shares]
    exact = sum(share * whole for share in shares) / 1_000_000

    assert abs(sum(charged) - exact) <= len(shares) * 1.01
    assert all(0 <= each <= whole for each in charged)
    assert all(each == whole for each, share in zip(charged, shares, strict=True) if share == 1_000_000)


def test_a_part_says_in_its_version_which_it_is() -> None:
    priced = priced_as(PriceConfig(input=1, output=10, request=0.001), "config")
    tenth = part_of(priced, 100_000)

    assert (tenth.rates[0].input, tenth.rates[0].output, tenth.rates[0].above) == (10**11, 10**12, -1)
    assert tenth.version.startswith("config*0.1:")
    assert part_of(priced, 1_000_000) is priced
    assert Secondhand("hit", PLACE, Usage(), 5).priced(UNPRICED) is UNPRICED
