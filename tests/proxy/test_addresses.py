from __future__ import annotations

import pytest

from llmproxy.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:8080", Address("::1", 8080)),
        ("unix:/run/llmproxy.sock", Address("", 0, "/run/llmproxy.sock")),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host:",
        "host:x",
        "host:65536",
        "::1:80",
        "host:-1",
        "[]:80",
        "[h]:80",
        "[127.0.0.1]:80",
        "unix:x",
    ],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|absolute path") as caught:
        parse_address(text)

    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize("text", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/s"])
def test_loopback_is_known(text: str) -> None:
    assert parse_address(text).is_loopback


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1"])
def test_what_others_can_reach_is_not_loopback(text: str) -> None:
    assert not parse_address(text).is_loopback
