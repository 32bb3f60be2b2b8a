from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.publicaddresses import is_nobodys, is_private, is_public, plain, read_ipv4

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_everybodys_addresses_are_public(text):
    assert is_public(ip_address(text))


CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 169.254.170.2
172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
64:ff9b:1::808:808 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1
fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 2606:4700::1111%2 fec0::1 ff02::1 ff0e::1 4000::1
"""


@pytest.mark.parametrize("text", CLOSED.split())
def test_no_other_address_is(text):
    assert not is_public(ip_address(text))


@given(V4 | V6)
def test_what_the_standard_library_calls_not_global_is_never_public(address):
    address = plain(address)

    assert not is_public(address) or address.is_global


@given(V4)
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_itself(address):
    assert is_public(IPv6Address((0xFFFF << 32) + int(address))) == is_public(address)
    assert is_public(IPv6Address((0x64FF9B << 96) + int(address))) == is_public(address)


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("10.0.0.1", True),
        ("100.64.0.1", True),
        ("fd12::1", True),
        ("::ffff:192.168.0.1", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("8.8.8.8", False),
    ],
)
def test_a_private_address_is_in_a_network_of_ones_own_and_no_metadata_service(text, private):
    assert is_private(ip_address(text)) is private


@given(V4)
def test_an_address_is_read_in_all_the_forms_of_the_c_library(address):
    number = int(address)
    a, b, c, d = address.packed
    forms = [
        str(address),
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{(c << 8) + d}",
        f"0x{a:X}.0{b:o}.{c}.0X{d:02x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
    ]

    assert {read_ipv4(form) for form in forms} == {address}


@pytest.mark.parametrize("host", ["example.com", "localhost", "1.example", "0x7f.one", "1.2.3.x", "0xg"])
def test_a_name_is_no_address(host):
    assert read_ipv4(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "256.1.1.1",
        "1.2.3.4.5",
        "1.16777216",
        "4294967296",
        "09.1.1.1",
        "1.2.3.08",
        "a.1",
        "1..2",
        "0x1ffffffff",
        "9" * 400,
    ],
)
def test_what_ends_in_a_number_and_is_no_address_is_nothing(host):
    with pytest.raises(ValueError, match="IPv4"):
        read_ipv4(host)


@given(V4 | V6)
def test_no_public_address_is_nobodys(address):
    assert not (is_public(address) and is_nobodys(address))


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "100.64.0.1", "2001:db8::1", "192.0.2.1"]
)
def test_ones_own_addresses_are_somebodys(text):
    assert not is_nobodys(ip_address(text))
