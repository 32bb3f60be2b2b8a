from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmproxy.plugin import ConfigError
from llmproxy_access.tokensettings import ClaimNames, IssuerConfig, is_trusted


def issuer(**told: Any) -> IssuerConfig:
    return IssuerConfig(
        **{"name": "corp", "issuer": "https://corp.example", "audience": ("llmproxy",), "tenant": "t", **told}
    )


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ({"name": ""}, "name"),
        ({"audience": ()}, "audience"),
        ({"algorithms": ()}, "algorithms"),
        ({"tenant": None}, "tenant"),
        ({"claims": ClaimNames(tenant="org")}, "tenant"),
        ({"leeway": 301.0}, "leeway"),
        ({"issuer": "http://corp.example"}, "issuer"),
        ({"jwks": "http://corp.example/keys"}, "jwks"),
        ({"models": ()}, "models"),
        ({"routes": ("a*b*",)}, "routes"),
    ],
)
def test_a_mistake_is_told_by_its_key(told: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        issuer(**told)

    assert caught.value.path == path


def test_where_the_keys_are_written_the_issuer_is_a_name_alone() -> None:
    assert issuer(issuer="corp", jwks="https://corp.example/keys").issuer == "corp"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_only_signatures_of_a_private_key_may_be_named(algorithm: str) -> None:
    told = {"name": "n", "issuer": "https://a", "audience": ["x"], "tenant": "t", "algorithms": [algorithm]}
    with pytest.raises(msgspec.ValidationError, match="algorithms"):
        msgspec.convert(told, IssuerConfig)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://corp.example/x", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://localhost/x", True),
        ("http://corp.example/x", False),
        ("http://localhost.corp.example/x", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[", False),
    ],
)
def test_keys_come_by_tls_or_from_this_machine(url: str, trusted: bool) -> None:
    assert is_trusted(url) is trusted
