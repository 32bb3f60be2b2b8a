"""Pools, compiled: a sequence of endpoints, places to choose from, a strategy each."""

from llmproxy.decode import decode_struct
from llmproxy.exchange import Endpoint
from llmproxy.pools import Pool, compile_pools
from llmproxy.poolsettings import PoolConfig


def compiled(made=None, **trees):
    def make(pool, ref):
        asked.append((pool.name, ref.name))
        return ref

    asked = []
    configs = {name: decode_struct(PoolConfig, tree, name) for name, tree in trees.items()}
    return compile_pools(configs, make, made), asked


def test_a_pool_is_the_sequence_of_the_endpoints_that_were_written_down():
    pools, _ = compiled(outer=["a/m", {"pool": "inner"}], inner=["b", "c/n"])

    assert pools["outer"] == (Endpoint("a", "m"), Endpoint("b"), Endpoint("c", "n"))
    assert pools["outer"].upstreams == {"a", "b", "c"}


def test_a_place_is_an_endpoint_or_another_pool_under_a_name_of_its_own():
    pools, _ = compiled(outer=["a/m", {"pool": "inner", "name": "spare", "weight": 0}], inner=["b"])
    first, second = pools["outer"].places

    assert (first.name, first.endpoint, first.pool, first.weight) == (
        "a/m",
        Endpoint("a", "m"),
        None,
        1,
    )
    assert (second.name, second.endpoint, second.pool, second.weight) == (
        "spare",
        None,
        pools["inner"],
        0,
    )


def test_two_pools_share_the_pool_that_both_lead_to():
    pools, _ = compiled(a=[{"pool": "c"}], b=[{"pool": "c"}], c=["x"])

    assert pools["a"].places[0].pool is pools["b"].places[0].pool is pools["c"]


def test_without_a_strategy_the_places_come_as_written():
    pools, asked = compiled(a=["x", "y"])

    assert list(pools["a"].strategy.order(None, pools["a"].places)) == list(pools["a"].places)
    assert asked == []


def test_a_strategy_is_made_once_for_each_pool_that_names_one():
    pools, asked = compiled(
        a={"targets": [{"pool": "c"}], "strategy": "x"},
        b=[{"pool": "c"}],
        c={"targets": ["u"], "strategy": "y"},
    )

    assert sorted(asked) == [("a", "x"), ("c", "y")]
    assert pools["c"].strategy.name == "y"


def test_pools_that_are_made_already_are_taken_as_they_are():
    made = {"c": Pool.of("c", [])}
    pools, _ = compiled(made, a=[{"pool": "c"}], c=["x"])

    assert pools["a"].places[0].pool is made["c"]


def test_a_mirror_is_no_place_to_choose():
    pools, _ = compiled(a=["x", {"upstream": "y", "mirror": 0.5}])

    assert pools["a"] == (Endpoint("x"),)
    assert [place.name for place in pools["a"].places] == ["x"]
    assert [(place.name, place.settings.mirror) for place in pools["a"].mirrors] == [("y", 0.5)]
