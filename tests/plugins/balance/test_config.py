"""The plugin's configuration: what is written short, what is refused."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_balance.config import BackoffSettings, BalanceConfig, BalanceRoute


def test_nothing_need_be_written():
    config = decode_struct(BalanceConfig, {}, "plugins.balance")

    assert config == BalanceConfig()
    assert config.health is not None


def test_a_backoff_is_its_first_wait():
    config = decode_struct(BalanceConfig, {"backoff": "50ms"}, "plugins.balance")

    assert config.backoff == BackoffSettings(first=0.05)


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"retries": 11}, "retries"),
        ({"backoff": {"first": "3s"}}, "backoff.most"),
        ({"retry_budget": {"share": 1.5}}, "retry_budget.share"),
        ({"max_wait": "long"}, "max_wait"),
    ],
)
def test_a_mistake_is_told_by_its_key(tree, path):
    with pytest.raises(ConfigErrors) as told:
        decode_struct(BalanceConfig, tree, "plugins.balance")

    assert f"plugins.balance.{path}" in str(told.value)


def test_health_may_be_left_unwatched():
    assert decode_struct(BalanceConfig, {"health": None}, "plugins.balance").health is None


def test_a_route_says_nothing_otherwise_by_itself():
    assert decode_struct(BalanceRoute, {}, "routes.r") == BalanceRoute()
