from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores import key

NAMES = st.text(min_size=1, max_size=5) | st.text("01:=,", min_size=1, max_size=5)
PIECES = NAMES | st.binary(max_size=5) | st.just("")
PARTS = st.tuples(NAMES, NAMES) | st.tuples(NAMES, NAMES, PIECES) | st.tuples(NAMES, NAMES, PIECES, PIECES)


@given(PARTS, PARTS)
def test_different_arguments_give_different_keys(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (key(*one) == key(*other)) == (one == other)


@given(PARTS, NAMES, NAMES)
def test_a_prefix_holds_one_tenants_route_only(parts: tuple[str, ...], tenant: str, route: str) -> None:
    assert key(*parts).startswith(key(tenant, route)) == (parts[:2] == (tenant, route))


def test_lone_surrogates_are_told_apart() -> None:
    assert key("\ud800", "r") != key("\ud801", "r")


def test_a_key_reads_well() -> None:
    assert key("acme", "chat", b"\x00\x01") == b"k1,4=acme4=chat2:\x00\x01"


@pytest.mark.parametrize(("tenant", "route"), [("", "chat"), ("acme", "")])
def test_nobodys_key_is_refused(tenant: str, route: str) -> None:
    with pytest.raises(ValueError, match="tenant and a route"):
        key(tenant, route)
