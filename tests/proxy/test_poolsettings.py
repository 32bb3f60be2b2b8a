"""Pools as the configuration writes them: short forms, refusals, what they lead to."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.poolsettings import (
    DEEPEST,
    PoolConfig,
    StrategyRef,
    TargetConfig,
    depth_of,
    upstreams_of,
)


def pool(tree):
    return decode_struct(PoolConfig, tree, "pools.p")


def test_a_list_is_that_of_the_targets_and_a_text_an_upstream_with_its_model():
    assert pool(["openai/gpt-4o-mini", "groq", {"pool": "spare", "weight": 2}]) == PoolConfig(
        targets=(
            TargetConfig(upstream="openai", model="gpt-4o-mini"),
            TargetConfig(upstream="groq"),
            TargetConfig(pool="spare", weight=2),
        )
    )


def test_a_models_name_may_hold_slashes():
    assert pool(["fireworks/accounts/x/models/y"]).targets[0].model == "accounts/x/models/y"


def test_one_kind_of_failure_needs_no_list():
    assert decode_struct(TargetConfig, {"upstream": "a", "after": "window"}).after == ("window",)


def test_a_target_with_more_to_say_may_name_upstream_and_model_in_one_word():
    assert decode_struct(TargetConfig, {"upstream": "a/m/n", "weight": 3}) == TargetConfig(
        upstream="a", model="m/n", weight=3
    )


def test_a_strategy_is_a_name_or_a_name_with_its_options():
    assert pool({"targets": ["a"], "strategy": "weighted"}).strategy == StrategyRef(name="weighted")
    assert pool({"targets": ["a"], "strategy": {"weighted": {"sticky": True}}}).strategy == StrategyRef(
        name="weighted", options={"sticky": True}
    )
    assert pool({"targets": ["a"], "strategy": {"weighted": None}}).strategy == StrategyRef(name="weighted")


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({"targets": []}, "pools.p.targets: holds nothing that answers"),
        (
            {"targets": [{"upstream": "a", "mirror": 0.1}]},
            "pools.p.targets: holds nothing that answers",
        ),
        ([{"pool": "b", "mirror": 1}], "pools.p.targets[0].mirror: stands beside pool"),
        (["a", {"upstream": "b", "mirror": 0}], "pools.p.targets[1].mirror"),
        (
            [{"model": "m"}],
            "pools.p.targets[0].upstream: a target is an upstream or a pool",
        ),
        (
            [{"upstream": "a", "pool": "b"}],
            "pools.p.targets[0].upstream: a target is an upstream or a pool",
        ),
        ([{"pool": "b", "model": "m"}], "pools.p.targets[0].model: stands beside pool"),
        ([{"pool": "b", "limit": 3}], "pools.p.targets[0].limit: stands beside pool"),
        (["a/*"], 'pools.p.targets[0].model: holds a "*"'),
        ([{"upstream": "a", "weight": -1}], "pools.p.targets[0].weight"),
        (
            {"targets": ["a"], "strategy": {"a": {}, "b": {}}},
            "pools.p.strategy: expected a strategy's name",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_key(tree, told):
    with pytest.raises(ConfigErrors) as caught:
        pool(tree)

    assert str(caught.value).startswith(told)


def test_a_pool_leads_to_the_upstreams_of_the_pools_within_it():
    pools = {"a": pool(["one", {"pool": "b"}, {"pool": "nowhere"}]), "b": pool(["two"])}

    assert list(upstreams_of("a", pools)) == ["one", "two"]
    assert depth_of("a", pools) == 2


def test_a_loop_is_too_deep_and_followed_no_further():
    pools = {"a": pool(["one", {"pool": "a"}])}

    assert depth_of("a", pools) > DEEPEST
    assert set(upstreams_of("a", pools)) == {"one"}


def test_a_list_of_capabilities_is_all_that_a_model_can():
    told = pool([{"upstream": "a", "capabilities": ["tools", "streaming"]}]).targets[0].capabilities

    assert (told.tools, told.vision, told.schema) == (True, False, False)
    assert (told.streaming, told.embeddings, told.window) == (True, None, None)


def test_a_capability_that_does_not_exist_is_refused():
    with pytest.raises(ConfigErrors, match="telepathy"):
        pool([{"upstream": "a", "capabilities": ["telepathy"]}])
