from __future__ import annotations

import pytest

from llmproxy_access.listeners import is_foreign, is_local


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


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("https://evil.example", True),
        ("http://localhost.evil.example:8080", True),
        ("http://10.0.0.1", True),
        ("http://[", True),
        ("http://", True),
        ("null", True),
        ("http://localhost:3000", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:8080", False),
        ("vscode-webview://abc", False),
        ("", False),
    ],
)
def test_a_web_page_of_another_machine_is_foreign(origin: str, foreign: bool) -> None:
    assert is_foreign(origin) is foreign
