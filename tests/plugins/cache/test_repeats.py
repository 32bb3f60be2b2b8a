from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Endpoint, Form, Headers
from llmproxy_cache.repeats import Repeat, Repeats

FORM = Form("openai", "chat", False)
PLACES = (Endpoint("main", "m"),)
FACE = SimpleNamespace(key_rules=lambda exchange: SimpleNamespace(header_names=(b"openai-beta",)))
ASKED: dict[str, Any] = {
    "body": b"{}",
    "target": "/v1/chat/completions",
    "tenant": "ann",
    "model": "m",
    "face": FACE,
    "places": PLACES,
    "headers": ((b"openai-beta", b"1"), (b"user-agent", b"sdk")),
}
OTHERS: dict[str, Any] = {
    "body": b"{ }",
    "target": "/v1/chat/completions?api-version=2",
    "tenant": "bob",
    "model": "n",
    "face": SimpleNamespace(key_rules=lambda exchange: None),
    "places": (Endpoint("main", "n"),),
    "headers": ((b"openai-beta", b"2"), (b"user-agent", b"sdk")),
}


def exchange(**changed: Any) -> Any:
    asked = {**ASKED, **changed}
    request = SimpleNamespace(target=asked["target"], headers=Headers(list(asked["headers"])))
    return SimpleNamespace(
        request=request,
        client_face=asked["face"],
        caller=SimpleNamespace(tenant=asked["tenant"]),
        model=asked["model"],
        endpoints=asked["places"],
    )


def find(repeats: Repeats, exchange: Any, body: bytes) -> Repeat | None:
    name = repeats.name(exchange, body)
    return None if name is None else repeats.find(exchange, name)


def remember(repeats: Repeats, exchange: Any, body: bytes, key: bytes) -> None:
    name = repeats.name(exchange, body)
    if name is not None:
        repeats.remember(exchange, name, key, FORM)


def remembered() -> Repeats:
    repeats = Repeats([])
    remember(repeats, exchange(), b"{}", b"key")
    return repeats


def test_the_same_request_has_the_key_that_it_had() -> None:
    assert find(remembered(), exchange(), b"{}") == (PLACES, b"key", FORM)


@pytest.mark.parametrize("changed", sorted(OTHERS))
def test_a_request_that_differs_in_anything_a_key_depends_on_is_another(changed: str) -> None:
    other = exchange(**{changed: OTHERS[changed]})

    assert find(remembered(), other, OTHERS["body"] if changed == "body" else b"{}") is None


@pytest.mark.parametrize("name", [b"cache-control", b"x-llmproxy-cache", b"content-type"])
def test_what_a_request_says_to_the_cache_makes_it_another(name: bytes) -> None:
    other = exchange(headers=(*ASKED["headers"], (name, b"no-cache")))

    assert find(remembered(), other, b"{}") is None


def test_fields_that_count_for_no_key_make_no_difference() -> None:
    other = exchange(headers=((b"openai-beta", b"1"), (b"user-agent", b"another")))

    assert find(remembered(), other, b"{}") is not None


def test_a_dialect_with_one_more_field_that_counts_makes_everything_be_looked_at_anew() -> None:
    repeats = remembered()
    face = SimpleNamespace(key_rules=lambda exchange: SimpleNamespace(header_names=(b"anthropic-version",)))
    remember(repeats, exchange(face=face), b"{}", b"other")

    assert find(repeats, exchange(), b"{}") is None
    known = exchange(face=face)
    assert find(repeats, known, b"{}") == (PLACES, b"other", FORM)
    dated = exchange(face=face, headers=((b"anthropic-version", b"2023-06-01"),))
    assert find(repeats, dated, b"{}") is None


def test_large_bodies_are_not_remembered() -> None:
    repeats, body = Repeats([]), b"x" * 1025
    remember(repeats, exchange(), body, b"key")

    assert find(repeats, exchange(), body) is None


@given(st.lists(st.integers(0, 5000), max_size=60))
def test_no_request_is_taken_for_another(numbers: list[int]) -> None:
    repeats = Repeats([])
    for number in numbers:
        body = b"%d" % number
        found = find(repeats, exchange(), body)
        assert found is None or found.key == b"key of " + body
        remember(repeats, exchange(), body, b"key of " + body)


def test_a_bounded_number_is_remembered() -> None:
    repeats = Repeats([])
    for number in range(5000):
        remember(repeats, exchange(), b"%d" % number, b"key")

    assert sum(find(repeats, exchange(), b"%d" % number) is not None for number in range(5000)) <= 2048


def test_what_comes_again_and_again_stays_remembered_among_what_comes_once() -> None:
    repeats = remembered()
    for number in range(5000):
        remember(repeats, exchange(), b"%d" % number, b"key")
        assert find(repeats, exchange(), b"{}") is not None


def test_a_field_that_stands_there_twice_is_not_told_by_its_last_value() -> None:
    twice = exchange(headers=((b"openai-beta", b"0"), *ASKED["headers"]))
    repeats = remembered()
    remember(repeats, twice, b"[]", b"other key")

    assert find(repeats, twice, b"{}") is None
    assert find(repeats, exchange(), b"[]") is None
