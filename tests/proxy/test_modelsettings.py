from __future__ import annotations

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.modelsettings import ModelConfig, own_pools
from llmproxy.poolsettings import PoolConfig, TargetConfig


def model(tree: object) -> ModelConfig:
    return decode_struct(ModelConfig, tree)


def mistake(tree: object) -> str:
    with pytest.raises(ConfigErrors) as told:
        model(tree)
    return str(told.value)


def test_a_text_is_another_name_for_a_model() -> None:
    assert model("groq/m") == ModelConfig(alias="groq/m")


def test_a_list_is_the_targets_of_the_model() -> None:
    found = model(["openai/a", {"pool": "b"}])

    assert found.targets == (TargetConfig(upstream="openai", model="a"), TargetConfig(pool="b"))


def test_an_upstream_and_its_model_may_be_one_word() -> None:
    assert model({"upstream": "openai/gpt-4o"}) == ModelConfig(upstream="openai", model="gpt-4o")
    assert model({"upstream": "hf/org", "model": "m"}) == ModelConfig(upstream="hf/org", model="m")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "upstream: missing; a model leads to an upstream, to a pool, to targets"),
        ([], "targets: holds nothing that answers"),
        ([{"upstream": "a", "mirror": 0.1}], "targets: holds nothing that answers"),
        ({"targets": ["a"], "pool": "p"}, "targets: stands beside upstream, model or pool"),
        ({"targets": ["a"], "alias": "b"}, "alias: stands beside"),
        ({"pool": "p", "strategy": "weighted"}, "strategy: orders targets, and there are none"),
        ({"upstream": "a", "fallbacks": ["b"]}, 'fallbacks: unknown key "fallbacks"; who is asked when'),
    ],
)
def test_what_makes_no_sense_says_why(tree: object, message: str) -> None:
    assert mistake(tree).startswith(message)


def test_targets_of_a_model_become_a_pool_of_its_name() -> None:
    led, pools = own_pools(
        {"fast": model({"targets": ["a", "b"], "strategy": "weighted"}), "f": model("fast")}
    )

    assert led == {"fast": ModelConfig(pool="fast"), "f": ModelConfig(alias="fast")}
    assert pools == {
        "fast": decode_struct(PoolConfig, {"targets": ["a/fast", "b/fast"], "strategy": "weighted"})
    }


def test_upstreams_see_the_public_name_by_whichever_alias_it_was_asked_for() -> None:
    _, pools = own_pools({"gpt-4o": model(["a", "b/m", {"pool": "p"}]), "gpt-*": model(["a"])})

    assert [target.model for target in pools["gpt-4o"].targets] == ["gpt-4o", "m", None]
    assert [target.model for target in pools["gpt-*"].targets] == [None]


def test_a_routes_models_have_pools_apart_from_other_routes() -> None:
    led, pools = own_pools({"fast": model(["a"])}, "chat")

    assert led == {"fast": ModelConfig(pool="chat.fast")}
    assert set(pools) == {"chat.fast"}
