from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_ipfilter.networks import Networks, read_address, read_network


def networks(*texts: str) -> Networks:
    return Networks(map(read_network, texts))


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("9.255.255.255", False),
        ("11.0.0.0", False),
        ("::ffff:10.1.2.3", True),
        ("::10.1.2.3", False),
        ("192.168.1.5", True),
        ("192.168.1.6", False),
        ("2001:db8::1", True),
        ("2001:db9::", False),
        ("fe80::1%eth0", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, held: bool) -> None:
    number = read_address(address)

    assert number is not None
    assert (
        networks("10.0.0.0/8", "192.168.1.5", "2001:db8::/32", "fe80::/10", "::ffff:192.0.2.7").hold(number)
        is held
    )


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0", "10.0.0.256", "010.0.0.1", "1.2.3.4 ", "10.0.0.1\0", "::g", "\ud800"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "x", "", "2001:db8::1/32"])
def test_what_is_no_network_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_network(text)


@pytest.mark.parametrize("text", ["::/80", "::/88", "::fffe:0:0/95", "::/0", "::/1"])
def test_a_network_of_ipv6_with_the_mapped_addresses_in_it_is_no_network_of_ipv4(text: str) -> None:
    found = networks(text)
    beside = (read_address("1.2.3.4"), read_address("::ffff:1.2.3.4"), read_address("2001:db8::1"))

    assert [found.hold(number) for number in beside if number is not None] == [
        False,
        False,
        text in {"::/0", "::/1"},
    ]


def test_all_of_one_family_is_nothing_of_the_other() -> None:
    four, mapped, six = (read_address(text) for text in ("1.2.3.4", "::ffff:1.2.3.4", "2001:db8::1"))
    assert four is not None
    assert six is not None

    assert four == mapped
    assert [networks("::/0").hold(four), networks("::/0").hold(six)] == [False, True]
    assert [networks("0.0.0.0/0").hold(four), networks("0.0.0.0/0").hold(six)] == [True, False]


def test_networks_that_touch_are_one() -> None:
    assert len(networks("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "11.0.0.0/8")) == 1
    assert len(networks()) == 0
    assert not networks().hold(0)


V4 = st.builds(lambda a, p: ip_network((a, p), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32))
V6 = st.builds(
    lambda a, p: ip_network((a, p), strict=False), st.integers(2**33, 2**128 - 1), st.integers(8, 128)
)


@given(st.lists(V4 | V6, max_size=8), st.integers(0, 2**32 - 1), st.integers(2**96, 2**128 - 1))
def test_what_is_held_is_what_the_library_says(nets: list[object], four: int, six: int) -> None:
    held = networks(*map(str, nets))
    for address in (ip_address(four), ip_address(six)):
        number = read_address(str(address))

        assert number is not None
        assert held.hold(number) is any(address in net for net in nets)  # type: ignore[operator]
