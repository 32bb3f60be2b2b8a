from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Headers
from llmproxy_access.credentials import SeveralCredentials, find_key

SIGNED = b"AWS4-HMAC-SHA256 Credential=key/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
BASIC = base64.b64encode(b"user:the:key")


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        (b"Authorization", b"Bearer key", b"key"),
        (b"authorization", b"BEARER  key ", b"key"),
        (b"AUTHORIZATION", b"Basic " + BASIC, b"the:key"),
        (b"Authorization", b"Basic not-base64!", b"Basic not-base64!"),
        (b"Authorization", b"AWS4-HMAC-SHA256 Credential=x", b"AWS4-HMAC-SHA256 Credential=x"),
        (b"Authorization", SIGNED, b"key"),
        (b"Authorization", b"key", b"key"),
        (b"X-Api-Key", b"key", b"key"),
        (b"api-key", b"key", b"key"),
        (b"x-goog-api-key", b"key", b"key"),
    ],
)
def test_a_key_is_found_in_any_of_its_places(name: bytes, value: bytes, key: bytes) -> None:
    assert find_key(Headers([(b"Host", b"x"), (name, value)])) == key


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"Host", b"x")],
        [(b"Authorization", b"Bearer ")],
        [(b"x-api-key", b"")],
        [(b"x-api-keys", b"key")],
    ],
)
def test_no_key_is_none(headers: list[tuple[bytes, bytes]]) -> None:
    assert find_key(Headers(headers)) is None


def test_the_same_key_in_two_places_is_one() -> None:
    assert find_key(Headers([(b"Authorization", b"Bearer key"), (b"x-api-key", b"key")])) == b"key"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Authorization", b"Bearer one"), (b"x-api-key", b"two")],
        [(b"Authorization", b"Bearer one"), (b"authorization", b"Bearer two")],
        [(b"api-key", b"one"), (b"API-Key", b"two")],
    ],
)
def test_different_keys_are_not_chosen_from(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(SeveralCredentials) as caught:
        find_key(Headers(headers))

    assert str(caught.value) == ""


@given(
    st.lists(
        st.tuples(st.sampled_from([b"Authorization", b"x-api-key", b"x"]), st.binary(max_size=30)), max_size=4
    )
)
def test_any_headers_are_read_without_a_fault(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        key = find_key(Headers(headers))
    except SeveralCredentials:
        return

    assert key != b""


def test_any_number_of_header_names_is_read() -> None:
    headers = [(b"x-%d" % number, b"v") for number in range(3000)]

    assert find_key(Headers([*headers, (b"X-API-KEY", b"key")])) == b"key"
