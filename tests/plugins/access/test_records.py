from __future__ import annotations

import pytest

from llmproxy_access.records import KeyOrder, KeyRecord, OrderRefused, SecretRecord, check_name, check_order


def secret(name: str = "one", **known: float) -> SecretRecord:
    return SecretRecord(id=name, key="web", digest=b"canary-digest", created=0.0, **known)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, "live"),
        ({"expires": 11.0}, "live"),
        ({"expires": 10.0}, "expired"),
        ({"expires": 5.0, "revoked": 1.0}, "revoked"),
    ],
)
def test_a_secret_lives_until_it_ends(known: dict[str, float], state: str) -> None:
    assert secret(**known).state(10.0) == state


def test_a_key_lives_as_long_as_one_of_its_secrets() -> None:
    old, new = secret(expires=5.0), secret("two", expires=20.0)

    assert KeyRecord(name="web", tenant="shop", secrets=(old, new)).state(10.0) == "live"
    assert KeyRecord(name="web", tenant="shop", secrets=(old, new)).state(20.0) == "expired"
    assert KeyRecord(name="web", tenant="shop", secrets=(new,), revoked=1.0).state(10.0) == "revoked"


def test_no_digest_is_shown() -> None:
    key = KeyRecord(name="web", tenant="shop", secrets=(secret(),))

    assert "digest" not in f"{key.told(0.0)} {key!r}"


@pytest.mark.parametrize("name", ["web", "a.b_c@d+e-f", "0", "x" * 100])
def test_a_name_is_taken(name: str) -> None:
    check_name(name, "name")


@pytest.mark.parametrize("name", ["", "-web", "a b", "a/b", "ä", "x" * 101, "a\n", "*"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(OrderRefused, match="name"):
        check_name(name, "name")


@pytest.mark.parametrize("wrong", [{"models": ()}, {"routes": ("a*b*c",)}, {"tenant": "a b"}, {"team": ""}])
def test_an_order_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OrderRefused):
        check_order(KeyOrder(name="web", **wrong))  # type: ignore[arg-type]  # one of each
