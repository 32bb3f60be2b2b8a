from typing import Any

import pytest
from tests.plugins.registries import FakeEureka

from llmproxy.plugin import BadRegistry
from llmproxy_discovery_eureka.registry import Registry


def filled(eureka: FakeEureka) -> Registry:
    registry = Registry("backend")
    registry.fill(eureka._tree(eureka.instances.values()))
    eureka.delta.clear()
    return registry


def told(registry: Registry, **how: bool) -> list[str]:
    return [each.address for each in registry.members(**{"secure": False, "use_host_names": False, **how})]


@pytest.fixture
def eureka() -> FakeEureka:
    eureka = FakeEureka()
    eureka.add(80)
    eureka.add(82, "DOWN")
    eureka.add(90, app="OTHER")
    return eureka


def test_only_the_applications_instances_that_are_up_are_members(eureka: FakeEureka) -> None:
    registry = filled(eureka)

    assert told(registry) == ["127.0.0.1:80"]
    assert registry.hash_code == "DOWN_1_UP_2_"


def test_a_delta_adds_changes_and_removes(eureka: FakeEureka) -> None:
    registry = filled(eureka)
    eureka.add(81)
    eureka.add(82)
    eureka.remove(80)
    eureka.remove(90, "OTHER")

    assert registry.change(eureka._tree(eureka.delta))
    assert told(registry) == ["127.0.0.1:81", "127.0.0.1:82"]


def test_a_delta_that_does_not_add_up_is_told(eureka: FakeEureka) -> None:
    registry = filled(eureka)
    eureka.add(81)
    eureka.delta.clear()

    assert not registry.change(eureka._tree(eureka.delta))


def test_the_secure_port_counts_where_it_is_enabled() -> None:
    eureka = FakeEureka()
    eureka.add(80)
    eureka.add(90, securePort={"$": "9443", "@enabled": "true"}, port={"$": 90, "@enabled": "false"})
    registry = filled(eureka)

    assert told(registry) == ["127.0.0.1:80"]
    assert told(registry, secure=True) == ["127.0.0.1:9443"]
    assert told(registry, secure=True, use_host_names=True) == ["backend-host:9443"]


def test_one_alone_may_come_without_its_list() -> None:
    instance = {"hostName": "h", "ipAddr": "10.0.0.1", "status": "UP", "port": {"$": 80, "@enabled": "true"}}
    registry = Registry("backend")
    registry.fill({"applications": {"application": {"name": "BACKEND", "instance": instance}}})

    assert told(registry) == ["10.0.0.1:80"]


@pytest.mark.parametrize("tree", [None, [], {}, {"applications": 1}, {"applications": {"application": [1]}}])
def test_what_is_no_registry_is_refused(tree: Any) -> None:
    with pytest.raises(BadRegistry):
        Registry("backend").fill(tree)
