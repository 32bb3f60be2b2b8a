from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Caller
from llmproxy_access import keys
from llmproxy_access.keys import KeyRing, digest_of

KEY = b"canary-0123456789abcdef"
WEB = Caller("shop", "web")


def test_a_known_key_finds_its_caller() -> None:
    assert KeyRing([(digest_of(KEY), WEB)]).find(KEY) == WEB


@given(st.binary(max_size=40).filter(lambda key: key != KEY))
def test_no_other_key_finds_one(key: bytes) -> None:
    assert KeyRing([(digest_of(KEY), WEB)]).find(key) is None


def test_the_digest_is_no_key() -> None:
    ring = KeyRing([(digest_of(KEY), WEB)])

    assert ring.find(digest_of(KEY)) is None
    assert ring.find(digest_of(KEY).hex().encode()) is None


def test_a_digest_is_the_keys_sha256() -> None:
    assert digest_of(KEY) == sha256(KEY).digest()


def test_a_ring_shows_no_key() -> None:
    assert repr(KeyRing([(digest_of(KEY), WEB)])) == "<KeyRing of 1 keys>"


def test_digests_are_compared_in_constant_time_and_keys_never(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(keys, "compare_digest", lambda *pair: compared.append(pair) or True)
    KeyRing([(digest_of(KEY), WEB)]).find(KEY)

    assert compared == [(digest_of(KEY), digest_of(KEY))]
