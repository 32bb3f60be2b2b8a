from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.plugins.registries import FakeDns, addresses

from llmproxy.plugin import RegistryAway
from llmproxy_discovery_dns.config import DnsConfig
from llmproxy_discovery_dns.zone import Zone


@pytest.fixture
async def server() -> AsyncIterator[FakeDns]:
    async with FakeDns() as server:
        yield server


def zone(server: FakeDns, **fields: Any) -> Zone:
    named = {"name": "backend.test.", "port": 80, "timeout": 5.0, **fields}
    if named.get("records") == "srv":
        named |= {"name": "_http._tcp.backend.test.", "port": None}
    return Zone(DnsConfig(servers=(server.address,), **named))


async def test_all_addresses_of_both_families_are_members(server: FakeDns) -> None:
    server.zone["backend.test.", "A"] = (30, ["10.0.0.2", "10.0.0.1"])
    server.zone["backend.test.", "AAAA"] = (20, ["2001:db8::1"])

    assert await addresses(zone(server)) == ["10.0.0.1:80", "10.0.0.2:80", "[2001:db8::1]:80"]
    assert await addresses(zone(server, family="ipv4")) == ["10.0.0.1:80", "10.0.0.2:80"]


async def test_it_is_looked_up_again_when_the_shortest_life_is_over(server: FakeDns) -> None:
    server.zone["backend.test.", "A"] = (30, ["10.0.0.1"])
    server.zone["backend.test.", "AAAA"] = (20, ["2001:db8::1"])

    assert (await zone(server).look()).again == 20
    assert (await zone(server, family="ipv4").look()).again == 30
    assert (await zone(server, max_ttl=10.0).look()).again == 10
    assert (await zone(server, min_ttl=60.0).look()).again == 60


async def test_a_chain_of_names_lives_as_long_as_its_shortest_link(server: FakeDns) -> None:
    server.zone["backend.test.", "CNAME"] = (7, ["real.test."])
    server.zone["real.test.", "A"] = (30, ["10.0.0.1"])
    looked = await zone(server, family="ipv4").look()

    assert [member.address for member in looked.members] == ["10.0.0.1:80"]
    assert looked.again == 7


async def test_services_lead_to_the_addresses_and_ports_of_their_targets(server: FakeDns) -> None:
    server.zone["_http._tcp.backend.test.", "SRV"] = (9, ["1 2 8080 a.test.", "2 1 8081 b.test."])
    server.zone["a.test.", "A"] = (5, ["10.0.0.1"])
    server.zone["b.test.", "AAAA"] = (6, ["2001:db8::1"])
    looked = await zone(server, records="srv").look()

    assert [(each.address, each.weight) for each in looked.members] == [
        ("10.0.0.1:8080", 2.0),
        ("[2001:db8::1]:8081", 0.0),
    ]
    assert looked.again == 5


async def test_an_answer_that_is_too_long_for_a_datagram_is_asked_for_again(server: FakeDns) -> None:
    server.zone["backend.test.", "A"] = (30, [f"10.0.0.{number}" for number in range(1, 201)])

    assert len(await addresses(zone(server))) == 200


async def test_a_name_that_is_not_there_lists_nobody(server: FakeDns) -> None:
    assert await addresses(zone(server)) == []
    assert await addresses(zone(server, records="srv")) == []


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "silence"])
async def test_a_server_that_does_not_answer_is_away(server: FakeDns, how: str) -> None:
    server.broken = how

    with pytest.raises(RegistryAway, match=r"looking up backend.test. A+ failed"):
        await zone(server, timeout=0.2).look()


async def test_half_an_answer_is_none(server: FakeDns) -> None:
    server.zone["_http._tcp.backend.test.", "SRV"] = (9, ["1 2 8080 a.test."])
    server.zone["a.test.", "A"] = (5, ["10.0.0.1"])
    looked_up = zone(server, records="srv", timeout=0.2)
    fill = server._fill

    def refuse_the_other_family(answer: Any, name: str, kind: str) -> None:
        fill(answer, name, kind)
        if kind == "AAAA":
            answer.set_rcode(2)

    server._fill = refuse_the_other_family  # type: ignore[method-assign]

    with pytest.raises(RegistryAway, match=r"looking up a.test. AAAA failed"):
        await looked_up.look()
