from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.directives import FOREVER, RequestControl
from llmproxy_httpcache.policy import Policy
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.reusing import (
    FAR,
    MISS,
    REFUSE,
    Fresh,
    Stale,
    Validate,
    is_early,
    lookup,
    serves_on_error,
)
from llmproxy_httpcache.terms import ALWAYS_ASK, NEVER_STALE, PINNED, Terms

from .stage import policy_of

NOW = 1_795_000_000.0
GET = Asked(method="GET")


def _asked(**control: object) -> Asked:
    return Asked(method="GET", control=RequestControl(**control))  # type: ignore[arg-type]


def _terms(lifetime: int, age: float, flags: int = 0, swr: int = 0, sie: int = 0) -> Terms:
    return Terms(lifetime, age, NOW, flags, swr, sie)


def test_a_fresh_answer_is_used() -> None:
    assert lookup(GET, _terms(60, 10), NOW) == Fresh(10, 50)
    assert lookup(GET, _terms(60, 10), NOW + 20) == Fresh(30, 30)


def test_a_stale_answer_is_asked_about() -> None:
    assert lookup(GET, _terms(60, 60), NOW) == Validate(60, 0, "stale")
    assert lookup(GET, _terms(60, 99), NOW) == Validate(99, -39, "stale")


def test_nothing_is_a_miss() -> None:
    assert lookup(GET, None, NOW) is MISS


def test_an_answer_to_be_asked_about_always_is() -> None:
    assert lookup(GET, _terms(60, 0, ALWAYS_ASK), NOW) == Validate(0, 0, "stale")


def test_a_soft_purge_makes_it_stale() -> None:
    assert lookup(GET, _terms(60, 0), NOW, purged_softly=True) == Validate(0, 0, "stale")
    assert lookup(GET, _terms(60, 0, swr=5), NOW, purged_softly=True) == Stale(0, 0, revalidate=True)


def test_it_may_be_served_stale_within_its_window_while_it_is_validated() -> None:
    assert lookup(GET, _terms(60, 64, swr=5), NOW) == Stale(64, -4, revalidate=True)
    assert isinstance(lookup(GET, _terms(60, 65, swr=5), NOW), Validate)
    assert isinstance(lookup(GET, _terms(60, 61, NEVER_STALE, swr=5), NOW), Validate)
    assert isinstance(lookup(_asked(no_cache=True), _terms(60, 61, swr=5), NOW), Validate)


@pytest.mark.parametrize("control", [{"max_age": 0}, {"max_age": 9}, {"min_fresh": 51}, {"no_cache": True}])
def test_a_caller_may_demand_more(control: dict[str, object]) -> None:
    assert lookup(_asked(**control), _terms(60, 10), NOW) == Validate(10, 50, "request")


def test_a_caller_may_demand_what_is_there() -> None:
    assert lookup(_asked(max_age=10, min_fresh=50), _terms(60, 10), NOW) == Fresh(10, 50)


def test_a_caller_may_take_what_is_stale() -> None:
    assert lookup(_asked(max_stale=10), _terms(60, 70), NOW) == Stale(70, -10, revalidate=False)
    assert lookup(_asked(max_stale=FOREVER), _terms(60, 9999), NOW) == Stale(9999, -9939, revalidate=False)
    assert isinstance(lookup(_asked(max_stale=9), _terms(60, 70), NOW), Validate)
    assert isinstance(lookup(_asked(max_stale=99, max_age=69), _terms(60, 70), NOW), Validate)
    assert isinstance(lookup(_asked(max_stale=99), _terms(60, 70, NEVER_STALE), NOW), Validate)


def test_a_caller_may_want_only_what_is_stored() -> None:
    asked = _asked(only_if_cached=True)

    assert lookup(asked, _terms(60, 10), NOW) == Fresh(10, 50)
    assert lookup(asked, None, NOW) is REFUSE
    assert lookup(asked, _terms(60, 70), NOW) is REFUSE
    assert lookup(_asked(only_if_cached=True, max_age=1), _terms(60, 10), NOW) is REFUSE


RFC, API = policy_of("rfc9111"), policy_of("api")


def test_errors_are_answered_by_what_is_stale_within_its_window() -> None:
    terms = _terms(60, 65, sie=10)

    for status in (None, 500, 502, 503, 504):
        assert serves_on_error(API, GET, terms, NOW, status)
    assert not serves_on_error(API, GET, terms, NOW, 404)
    assert not serves_on_error(API, GET, terms, NOW + 5, 503)
    assert serves_on_error(API, _asked(stale_if_error=99), _terms(60, 65), NOW, 503)


def test_without_a_window_only_the_standards_profile_serves_stale_and_only_if_nothing_came() -> None:
    assert serves_on_error(RFC, GET, _terms(60, 65), NOW, None)
    assert not serves_on_error(RFC, GET, _terms(60, 65), NOW, 503)
    assert not serves_on_error(API, GET, _terms(60, 65), NOW, None)


@pytest.mark.parametrize("flags", [ALWAYS_ASK, NEVER_STALE])
def test_errors_are_passed_on_where_stale_answers_are_forbidden(flags: int) -> None:
    assert not serves_on_error(RFC, GET, _terms(60, 65, flags, sie=99), NOW, None)


@given(
    st.integers(0, 100),
    st.integers(0, 200),
    st.sampled_from([0, ALWAYS_ASK, NEVER_STALE]),
    st.integers(0, 50),
    st.fixed_dictionaries(
        {},
        optional={
            "max_age": st.integers(0, 200),
            "min_fresh": st.integers(0, 200),
            "max_stale": st.integers(0, 200),
            "no_cache": st.just(True),
        },
    ),
)
def test_nothing_is_served_that_somebody_forbade(
    lifetime: int, age: int, flags: int, swr: int, control: dict[str, int]
) -> None:
    verdict = lookup(_asked(**control), Terms(lifetime, age, NOW, flags, swr), NOW)

    if isinstance(verdict, Fresh | Stale):
        assert not flags & ALWAYS_ASK
        assert "no_cache" not in control
        assert age <= control.get("max_age", age)
    if isinstance(verdict, Fresh):
        assert age < lifetime
        assert lifetime - age >= control.get("min_fresh", 0)
    if isinstance(verdict, Stale):
        assert not flags
        assert age - lifetime <= max(swr, control.get("max_stale", 0))


def test_the_default_policy_is_the_cautious_one() -> None:
    assert Policy() == API


@given(
    left=st.floats(0.001, 1e4),
    seconds=st.floats(0, 100),
    beta=st.floats(0.01, 10),
    draw=st.floats(1e-17, 1, exclude_min=True),
)
def test_an_answer_is_made_anew_the_earlier_the_longer_it_takes(
    left: float, seconds: float, beta: float, draw: float
) -> None:
    def early(left: float, seconds: float) -> bool:
        return is_early(Terms(100_000, 100_000 - left, NOW, seconds=seconds), NOW, beta, draw)

    if early(left, seconds):
        assert early(left / 2, seconds)
        assert early(left, seconds * 2)
        assert left <= seconds * beta * FAR + 1e-6


def test_what_an_operator_gave_stands_whatever_callers_say() -> None:
    terms = Terms(60, 0.0, NOW, PINNED, etag=b'"a"')

    assert lookup(_asked(no_cache=True), terms, NOW) == Fresh(0, 60)
    assert not terms.validator
