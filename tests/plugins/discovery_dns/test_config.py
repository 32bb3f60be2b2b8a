import pytest

from llmproxy.plugin import ConfigError
from llmproxy_discovery_dns.config import DnsConfig, split_server


def test_a_name_and_a_port_are_enough() -> None:
    config = DnsConfig(name="backend.test", port=80)

    assert (config.records, config.family, config.min_ttl, config.max_ttl) == ("addresses", "any", 1, 300)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "", "port": 80}, "name: not a name"),
        ({"name": "a"}, "port: missing"),
        ({"name": "a", "records": "srv", "port": 80}, "port: of no use"),
        ({"name": "a", "port": 80, "min_ttl": 0.0}, "min_ttl: 0s"),
        ({"name": "a", "port": 80, "min_ttl": 9.0, "max_ttl": 8.0}, "min_ttl: 0s, or longer"),
        ({"name": "a", "port": 80, "servers": ("10.0.0.1", "dns.test")}, r"servers\[1\]: not an address"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DnsConfig(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.0.0.1", ("10.0.0.1", 53)),
        ("10.0.0.1:5353", ("10.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_server_is_an_address_with_or_without_a_port(text: str, server: tuple[str, int]) -> None:
    assert split_server(text) == server
