"""What a caller says of the cache."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, Headers
from llmproxy_cache.config import Control as Words
from llmproxy_cache.control import NOTHING, Control, control_of

ALL = frozenset(get_args(Words))


def said(own: str = "", *standard: str, allowed: frozenset[str] = ALL) -> Control:
    headers = Headers()
    for value in standard:
        headers.add("Cache-Control", value)
    if own:
        headers.add("X-LLMProxy-Cache", own)
    return control_of(headers, allowed)


def test_most_callers_say_nothing() -> None:
    assert said() is NOTHING


@pytest.mark.parametrize(
    ("value", "control"),
    [
        ("no-store", Control(bypass=True)),
        ("No-Cache", Control(refresh=True)),
        ("only-if-cached", Control(only_if_cached=True)),
        ("max-age=60, min-fresh=5", Control(max_age=60, min_fresh=5)),
        ('max-stale="30"', Control(max_stale=30)),
        ("max-stale", Control(max_stale=float("inf"))),
        ("max-age=-1", NOTHING),
        ("max-age=soon", NOTHING),
        ("s-maxage=5, private", NOTHING),
    ],
)
def test_cache_control_is_read_as_the_rfc_has_it(value: str, control: Control) -> None:
    assert said("", value) == control


def test_several_lines_are_one_list() -> None:
    assert said("", "max-age=5", "no-store") == Control(bypass=True, max_age=5)


@pytest.mark.parametrize(
    ("value", "control"),
    [
        ("bypass", Control(bypass=True)),
        ("refresh", Control(refresh=True)),
        ("ttl=10m; scope=key", Control(ttl=600, scope="key")),
        (" Scope=end-user , ttl=90 ", Control(ttl=90, scope="end-user")),
    ],
)
def test_the_field_of_our_own_is_read(value: str, control: Control) -> None:
    assert said(value) == control


@pytest.mark.parametrize("value", ["refesh", "ttl=soon", "scope=world", "ttl", "ttl=-5s", "bypass; x"])
def test_what_cannot_be_read_of_our_own_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="x-llmproxy-cache cannot be read"):
        said(value)


@pytest.mark.parametrize("word", sorted(ALL))
def test_what_the_route_does_not_allow_is_passed_over(word: str) -> None:
    own = {"ttl": "ttl=5m", "scope": "scope=key", "bypass": "bypass", "refresh": "refresh"}.get(word, "")
    standard = "" if own else "max-age=5" if word == "max-age" else word

    assert said(own, standard) != NOTHING
    assert said(own, standard, allowed=ALL - {word}) == NOTHING


@given(st.text(st.characters(max_codepoint=0xFF, categories=["L", "N", "P", "S", "Zs"])))
def test_whatever_comes_is_read_or_refused(value: str) -> None:
    headers = Headers.of({"cache-control": value, "x-llmproxy-cache": value})
    try:
        control = control_of(headers, ALL)
    except BadRequest:
        return

    assert isinstance(control, Control)


def test_two_fields_of_our_own_are_both_obeyed() -> None:
    headers = Headers([(b"x-llmproxy-cache", b"bypass"), (b"X-LLMProxy-Cache", b"ttl=10m")])

    assert control_of(headers, ALL) == Control(bypass=True, ttl=600)
