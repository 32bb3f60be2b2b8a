from typing import Any

import pytest
from tests.plugins.registries import FakeKubernetes

from llmproxy.plugin import BadRegistry
from llmproxy_discovery_kubernetes.slices import Seen, members_of, read_slice

HTTP = [{"name": "http", "port": 8080}]
BOTH = [*HTTP, {"name": "metrics", "port": 9090}]

endpoint = FakeKubernetes.endpoint


def read(*endpoints: dict[str, Any], ports: Any = HTTP, port: str | int | None = None) -> list[Seen]:
    return read_slice({"metadata": {"name": "s"}, "ports": ports, "endpoints": list(endpoints)}, port)[1]


def told(*slices: list[Seen], include_serving: bool = False) -> list[str]:
    return [each.address for each in members_of(slices, include_serving=include_serving)]


def test_who_is_ready_is_a_member_and_so_is_who_does_not_say() -> None:
    ready, silent = endpoint("10.0.0.1", ready=True), {"addresses": ["10.0.0.2"]}

    assert told(read(ready, silent, endpoint("10.0.0.3", ready=False))) == ["10.0.0.1:8080", "10.0.0.2:8080"]


ENDING = {"ready": False, "serving": True, "terminating": True}


def test_who_still_serves_while_it_ends_is_asked_if_that_is_wanted_or_nobody_is_ready() -> None:
    ending, gone = endpoint("10.0.0.2", **ENDING), endpoint("10.0.0.3", ready=False, serving=False)

    assert told(read(endpoint("10.0.0.1"), ending, gone)) == ["10.0.0.1:8080"]
    assert told(read(endpoint("10.0.0.1"), ending), include_serving=True) == [
        "10.0.0.1:8080",
        "10.0.0.2:8080",
    ]
    assert told(read(ending, gone)) == ["10.0.0.2:8080"]


def test_the_port_is_the_only_one_or_the_one_that_is_named() -> None:
    assert told(read(endpoint("10.0.0.1"), ports=BOTH)) == []
    assert told(read(endpoint("10.0.0.1"), ports=BOTH, port="metrics")) == ["10.0.0.1:9090"]
    assert told(read(endpoint("10.0.0.1"), ports=BOTH, port=8080)) == ["10.0.0.1:8080"]
    assert told(read(endpoint("10.0.0.1"), ports=[{"name": None, "port": 80}], port="")) == ["10.0.0.1:80"]


def test_an_endpoint_in_two_slices_is_one_member() -> None:
    assert told(read(endpoint("10.0.0.1")), read(endpoint("10.0.0.1"))) == ["10.0.0.1:8080"]


def test_a_slice_of_another_family_lists_nobody() -> None:
    item = {
        "metadata": {"name": "s"},
        "addressType": "IPv6",
        "ports": HTTP,
        "endpoints": [endpoint("fd00::1")],
    }

    assert read_slice(item, None, "ipv4") == ("s", [])
    assert told(read_slice(item, None, "ipv6")[1]) == told(read_slice(item, None)[1]) == ["[fd00::1]:8080"]


def test_zone_and_node_are_labels() -> None:
    [seen] = read({**endpoint("10.0.0.1"), "nodeName": "n"})

    assert seen.member.labels == (("node", "n"), ("zone", "a"))


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        {"metadata": {"name": "s"}, "endpoints": [1]},
        {"metadata": {"name": "s"}, "ports": [1], "endpoints": [{}]},
    ],
)
def test_what_is_no_slice_is_refused(item: Any) -> None:
    with pytest.raises(BadRegistry):
        read_slice(item, "http")
