"""Policies: what callers pick by a header, what they may not, and what is told at the start."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import BadRequest, ConfigError, ConfigErrors
from llmproxy.exchange import Endpoint
from llmproxy.testing import make_exchange
from llmproxy_balance.policies import POLICY, Policies, PolicySettings, Reordered

from .places import names, pool_of

MAIN, CHEAP, SPARE = pool_of(1, 1, name="main"), pool_of(1, name="cheap"), pool_of(1, 1, 1, name="spare")
POOLS = {pool.name: pool for pool in (MAIN, CHEAP, SPARE)}


class Backwards:
    def order(self, exchange, places):
        return places[::-1]


def make(pool, ref):
    if ref.name != "backwards":
        raise ConfigError("", f"{ref.name!r} is not known")
    if pool is CHEAP:
        raise ConfigError("options", "not for this one")
    return Backwards()


def policies(tree, header="x-llmproxy-policy"):
    settings = {
        name: decode_struct(PolicySettings, policy, f"policies.{name}") for name, policy in tree.items()
    }
    return Policies(settings, header, POOLS, make)


def picking(name, header="X-LLMProxy-Policy"):
    return make_exchange(headers={header: name})


TREE = {"cheap": "cheap", "back": {"strategy": "backwards"}}


def test_a_caller_who_picks_nothing_is_led_where_he_would_be():
    exchange = make_exchange()

    assert policies(TREE).choose(exchange, MAIN) is MAIN
    assert exchange.state.get(POLICY) is None


def test_a_policy_is_another_pool():
    exchange = picking(" cheap ")

    assert policies(TREE).choose(exchange, MAIN) is CHEAP
    assert exchange.state[POLICY] == "cheap"


def test_a_policy_is_another_order_of_the_same_places_whatever_they_become():
    pool = pool_of(1, 1, name="main")
    found = Policies({"back": PolicySettings(strategy=decode_ref("backwards"))}, "x-p", {"main": pool}, make)
    chosen = found.choose(picking("back", "x-p"), pool)

    assert isinstance(chosen, Reordered)
    assert tuple(chosen) == tuple(pool)
    assert (chosen.name, chosen.upstreams, chosen.mirrors) == ("main", {"up"}, ())
    assert names(chosen.strategy.order(make_exchange(), chosen.places)) == ["b", "a"]

    pool.places = SPARE.places  # members came
    assert chosen.places is SPARE.places
    assert found.choose(picking("back", "x-p"), pool) is chosen


def decode_ref(name):
    return decode_struct(PolicySettings, {"strategy": name}, "policies.p").strategy


def test_a_strategy_that_cannot_order_a_pool_leaves_it_in_its_own_order():
    assert policies(TREE).choose(picking("back"), CHEAP) is CHEAP


def test_what_is_no_pool_stays_as_it_is():
    single = (Endpoint("up"),)

    assert policies(TREE).choose(picking("back"), single) is single
    assert policies(TREE).choose(picking("cheap"), single) is CHEAP


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(BadRequest) as told:
        policies(TREE).choose(picking("sk-secret"), MAIN)

    assert (told.value.status, told.value.code) == (400, "unknown_policy")
    assert str(told.value) == "x-llmproxy-policy names none of the policies here: back, cheap."


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"p": "nowhere"}, "policies.p.pool: no pool is called 'nowhere' .known: cheap, main, spare."),
        ({"p": {"strategy": "sideways"}}, "policies.p.strategy: 'sideways' is not known"),
        ({"p": {"pool": "main", "strategy": "backwards"}}, "a pool or a strategy"),
        ({"p": {}}, "a pool or a strategy"),
    ],
)
def test_a_policy_that_leads_nowhere_is_told_at_the_start(tree, why):
    with pytest.raises((ConfigError, ConfigErrors), match=why):
        policies(tree)


def test_a_header_must_be_one():
    with pytest.raises(ConfigError, match="policy_header"):
        policies(TREE, header="x policy")
