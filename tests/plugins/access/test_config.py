from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from llmproxy.plugin import ConfigError, PostgresUrl, Secret
from llmproxy_access.config import MIN_LENGTH, AccessConfig, AccessRoute, DatabaseConfig, Key
from llmproxy_access.tokensettings import IssuerConfig

CANARY = "canary-0123456789abcdef"
DIGEST = sha256(CANARY.encode()).hexdigest()
PEPPER = Secret(CANARY * 2, "${env:PEPPER}")

CORP = IssuerConfig(name="corp", issuer="https://corp.example", audience=("llmproxy",), tenant="t")


def key(name: str = "web", **more: Any) -> Key:
    return Key(name=name, tenant="shop", **(more or {"key": Secret(CANARY, "${env:KEY}")}))


@pytest.mark.parametrize("given", [key(), key(sha256=DIGEST), key(sha256=DIGEST.upper())])
def test_a_key_is_known_by_its_digest(given: Key) -> None:
    assert given.digest.hex() == DIGEST


@pytest.mark.parametrize(
    ("make", "path", "problem"),
    [
        (lambda: Key(name="", tenant="t", sha256=DIGEST), "name", "empty"),
        (lambda: Key(name="n", tenant="", sha256=DIGEST), "tenant", "empty"),
        (lambda: Key(name="n", tenant="t"), "key", "either key or sha256"),
        (lambda: key(key=Secret(CANARY), sha256=DIGEST), "key", "either key or sha256"),
        (lambda: key(key=Secret(CANARY[: MIN_LENGTH - 1])), "key", "shorter than 12"),
        (lambda: key(sha256=CANARY), "sha256", "64 hexadecimal"),
        (AccessConfig, "keys", "nobody could come in"),
        (lambda: AccessConfig(mode="open", keys=(key(),)), "keys", "of no use"),
        (lambda: AccessConfig(keys=(key(), key(sha256="0" * 64))), "keys[0].name", "twice"),
        (lambda: AccessConfig(keys=(key("a"), key("b", sha256=DIGEST))), "keys[0].key", "twice"),
        (
            lambda: AccessConfig(mode="open", database=DatabaseConfig(path="x", pepper=PEPPER)),
            "database",
            "of no use",
        ),
        (lambda: AccessConfig(mode="open", jwt=(CORP,)), "jwt", "of no use"),
        (lambda: AccessConfig(jwt=(CORP, CORP)), "jwt[0].issuer", "twice"),
        (lambda: AccessConfig(keys=(key("corp"),), jwt=(CORP,)), "jwt[0].name", "a key has"),
        (lambda: DatabaseConfig(path=" ", pepper=PEPPER), "path", "empty"),
        (lambda: DatabaseConfig(pepper=PEPPER), "path", "either path"),
        (lambda: DatabaseConfig(path="x", url=PostgresUrl(CANARY), pepper=PEPPER), "path", "either path"),
        (lambda: DatabaseConfig(path="x"), "pepper", "missing"),
        (lambda: DatabaseConfig(path="x", pepper=Secret(CANARY)), "pepper", "shorter than 32"),
        (lambda: DatabaseConfig(path="x", pepper=PEPPER, stale=0.5), "stale", "less than 1s"),
        (lambda: AccessRoute(tenants=()), "tenants", "nobody could use"),
    ],
)
def test_a_mistake_is_told_by_its_key_and_never_by_the_secret(make: Any, path: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        make()

    assert caught.value.path == path
    assert CANARY[:10] not in str(caught.value)


def test_a_config_shows_references_only() -> None:
    shown = repr(AccessConfig(keys=(key(),)))

    assert CANARY not in shown
    assert "${env:KEY}" in shown


def test_a_database_is_enough() -> None:
    config = AccessConfig(database=DatabaseConfig(path="x", pepper=PEPPER))

    assert config.keys == ()
    assert CANARY not in repr(config)


def test_names_are_those_of_keys_and_issuers() -> None:
    assert AccessConfig(keys=(key("web"),), jwt=(CORP,)).names == {"web", "corp"}


def test_open_needs_no_keys_and_a_route_takes_any_tenant() -> None:
    assert AccessConfig(mode="open").keys == ()
    assert AccessRoute().tenants is None


def test_an_unknown_key_of_the_table_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="kyes"):
        msgspec.convert({"mode": "open", "kyes": []}, AccessConfig)
