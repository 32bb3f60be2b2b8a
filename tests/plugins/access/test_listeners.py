from __future__ import annotations

import pytest

from llmproxy_access.listeners import is_local


@pytest.mark.parametrize(
    "address", ["127.0.0.1:80", "127.9.9.9:0", "[::1]:80", "localhost:80", "unix:/run/llmproxy.sock"]
)
def test_a_local_address_is_told(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:80",
        "[::]:80",
        "10.0.0.1:80",
        "gateway:80",
        ":80",
        "localhost.example.com:80",
        "",
        "[::ffff:8.8.8.8]:80",
    ],
)
def test_any_other_is_not(address: str) -> None:
    assert not is_local(address)
