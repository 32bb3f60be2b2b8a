from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.directives import names, response_control
from llmproxy_httpcache.emitting import AS_IS, CLOSED, Emission, directives, limits_of
from llmproxy_httpcache.headers import Fields


def _limits(
    control: str = "", cdn: str = "", *, status: int = 200, closed: bool = False, more: str = ""
) -> int:
    raw = [(b"Cache-Control", control.encode())] if control else []
    raw += [(b"CDN-Cache-Control", cdn.encode())] if cdn else []
    raw += [(more.encode(), b"x")] if more else []
    return limits_of(status, Fields(raw), closed=closed)


def test_browsers_and_cdns_are_told_what_the_route_says() -> None:
    emission = Emission("public, max-age=60", "max-age=600, stale-while-revalidate=60", ("Accept-Encoding",))

    assert emission.pairs(0) == [
        (b"Vary", b"Accept-Encoding"),
        (b"Cache-Control", b"public, max-age=60"),
        (b"CDN-Cache-Control", b"max-age=600, stale-while-revalidate=60"),
    ]
    assert emission.replaced == {b"cache-control", b"cdn-cache-control", b"expires"}
    assert not Emission()


def test_lifetimes_count_from_when_they_are_told() -> None:
    emission = Emission("max-age=60, s-maxage=600, immutable")

    assert emission.pairs(0, 15) == [(b"Cache-Control", b"max-age=75, s-maxage=615, immutable")]


@pytest.mark.parametrize("word", ["no-store", "private", "no-cache", 'no-cache="x"', 'private="x"'])
def test_what_the_origin_keeps_from_others_leaves_with_its_own_words(word: str) -> None:
    assert _limits(f"max-age=60, {word}") == AS_IS
    assert _limits("max-age=60", word.partition("=")[0]) == AS_IS
    assert Emission("public, max-age=60").pairs(AS_IS) == []


@pytest.mark.parametrize("status", [201, 302, 404, 500, 503])
def test_errors_and_the_like_leave_with_the_origins_words(status: int) -> None:
    assert _limits("max-age=60", status=status) == AS_IS


def test_what_is_not_for_everybody_leaves_as_private() -> None:
    emission = Emission("public, max-age=60, s-maxage=600", "max-age=600")

    assert emission.pairs(CLOSED) == [(b"Cache-Control", b"private, max-age=60")]
    assert Emission("no-store").pairs(CLOSED) == [(b"Cache-Control", b"no-store")]
    assert _limits("max-age=60", closed=True) == CLOSED
    assert _limits("max-age=60", more="Set-Cookie") == CLOSED


def test_names_are_added_to_those_that_the_origin_selects_by() -> None:
    emission = Emission(vary=("Accept", "Origin"))

    assert emission.with_vary(b"origin, Accept-Encoding") == b"origin, Accept-Encoding, Accept"
    assert emission.with_vary(None) == b"Accept, Origin"
    assert emission.with_vary(b"*") == b"*"


@pytest.mark.parametrize(
    "value", ["", ",", "max-age", "max-age=x", "a b", 'private="a"', "max-age=1\r\nX: y", "a=%d"]
)
def test_what_is_no_cache_control_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"names no|not written"):
        directives(value)


_WORDS = st.lists(
    st.sampled_from(
        [
            *("public", "private", "no-store", "no-cache", "max-age=9", "s-maxage=9", "must-revalidate"),
            *("proxy-revalidate", "no-transform", "immutable", "x=y"),
        ]
    ),
    min_size=1,
).map(", ".join)


@given(origin=_WORDS, route=_WORDS, closed=st.booleans(), age=st.integers(0, 10**6))
def test_nothing_that_the_origin_forbids_is_allowed(origin: str, route: str, closed: bool, age: int) -> None:
    limits = _limits(origin, closed=closed)
    pairs = Emission(route, route).pairs(limits, age)
    meant = response_control(origin.encode())

    if meant.no_store or meant.private or meant.no_cache:
        assert pairs == []
        return
    for _, value in pairs:
        told = response_control(value)
        assert told.must_revalidate >= meant.must_revalidate
        assert told.proxy_revalidate >= meant.proxy_revalidate
        assert told.no_transform >= meant.no_transform
        assert not closed or told.private or told.no_store
        assert not closed or not names(value).count(b"public")
