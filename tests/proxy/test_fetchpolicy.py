from ipaddress import ip_address

import pytest

from llmproxy.errors import ConfigError
from llmproxy.fetchpolicy import FetchingConfig, FetchPolicy


def allows(host, address, **config):
    return FetchPolicy(FetchingConfig(**config)).allows(host, ip_address(address))


def test_public_addresses_are_allowed_and_no_others():
    assert allows("example.com", "93.184.216.34")
    assert not allows("example.com", "10.0.0.1")
    assert not allows("localhost", "::1")


def test_a_network_may_be_allowed_whatever_it_is():
    assert allows("minio", "10.1.2.3", allow=("10.1.0.0/16",))
    assert allows("minio", "::ffff:10.1.2.3", allow=("10.1.0.0/16",))
    assert allows("127.0.0.1", "127.0.0.1", allow=("127.0.0.1",))
    assert not allows("minio", "10.2.2.3", allow=("10.1.0.0/16",))


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("images.corp.example", "10.1.2.3", True),
        ("a.images.corp.example", "fd12::1", True),
        ("corp.example", "10.1.2.3", False),
        ("evilcorp.example", "10.1.2.3", False),
        ("images.corp.example", "127.0.0.1", False),
        ("images.corp.example", "169.254.169.254", False),
        ("images.corp.example", "fd00:ec2::254", False),
        ("images.corp.example", "93.184.216.34", True),
    ],
)
def test_a_host_allowed_by_name_may_be_in_a_private_range_only(host, address, allowed):
    assert allows(host, address, allow=("*.Corp.example",)) is allowed


def test_what_is_denied_is_denied_though_it_is_public_or_allowed():
    assert not allows("example.com", "93.184.216.34", deny=("93.184.0.0/16",))
    assert not allows("example.com", "93.184.216.34", deny=("example.com",))
    assert not allows("minio", "10.1.2.3", allow=("10.0.0.0/8",), deny=("10.1.2.3",))


@pytest.mark.parametrize(
    "text", ["10.0.0.1/8", "10.1.2", "*", "*.", "http://a", "a b", "", "0x7f000001", "a..b", "[::1]"]
)
def test_a_rule_is_a_network_or_a_host(text):
    with pytest.raises(ConfigError, match=r"deny\[0\]: .*neither a network|deny\[0\]: .*is not a network"):
        FetchingConfig(deny=(text,))


def test_a_fetch_without_time_is_refused():
    with pytest.raises(ConfigError, match="timeout"):
        FetchingConfig(timeout=0)
