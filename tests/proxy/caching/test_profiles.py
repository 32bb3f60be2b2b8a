"""Profiles, and how a route's own settings go over them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.profiles import (
    PRESETS,
    CachingSettings,
    Consistency,
    Invalidation,
    Profile,
    Scope,
    profile_table,
    terms_of,
)
from llmproxy.config import decode_struct
from llmproxy.errors import ConfigError, StartError


def test_nothing_is_kept_by_default() -> None:
    terms = terms_of(CachingSettings())

    assert (terms.profile, terms.cacheable) == ("stateless", False)
    assert terms.why["profile"] == "the default, for the route names none"


@pytest.mark.parametrize("profile", get_args(Profile))
def test_each_profile_is_a_whole_policy(profile: Profile) -> None:
    terms = terms_of(CachingSettings(profile=profile))

    assert terms.cacheable == (profile != "stateless")
    assert bool(terms.invalidation) == terms.cacheable


def test_nothing_is_shared_beyond_a_tenant_unasked() -> None:
    assert {preset.scope for preset in PRESETS.values()} <= {"tenant", "end-user"}


def test_a_routes_own_word_goes_over_the_profile_and_says_so() -> None:
    terms = terms_of(CachingSettings(profile="faq", ttl=60, scope="key"))

    assert (terms.ttl, terms.scope, terms.stale_while_revalidate) == (60, "key", 86400)
    assert terms.why["ttl"] == "the route's own"
    assert terms.why["stale_while_revalidate"] == "profile faq"


def test_an_entry_is_kept_as_long_as_it_may_be_served_stale() -> None:
    terms = terms_of(
        CachingSettings(ttl=60, stale_while_revalidate=5, stale_if_error=40, invalidation=("ttl",))
    )

    assert terms.kept == 100


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"ttl": 300}, "invalidation"),
        ({"profile": "faq", "invalidation": ()}, "invalidation"),
        ({"ttl": 300, "consistency": "strong", "invalidation": ("ttl",)}, "invalidation"),
        ({"profile": "stateless", "ttl": 300, "invalidation": ("ttl",)}, "ttl"),
        ({"stale_if_error": 60}, "stale_if_error"),
    ],
)
def test_what_contradicts_itself_is_refused_at_its_place(settings: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as refused:
        CachingSettings(**settings)

    assert refused.value.path == place


def test_the_file_says_it_in_few_words() -> None:
    settings = decode_struct(CachingSettings, {"ttl": "5m", "invalidation": "tags"})

    assert (settings.ttl, settings.invalidation) == (300, ("tags",))
    assert decode_struct(CachingSettings, "faq") == CachingSettings(profile="faq")


def test_a_missing_invalidation_is_told_with_the_files_path() -> None:
    with pytest.raises(
        StartError, match=r"routes\.chat\.cache\.invalidation: missing: answers are kept for 5m"
    ):
        decode_struct(CachingSettings, {"ttl": "5m"}, "routes.chat.cache")


OWN = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(get_args(Profile)),
        "ttl": st.floats(0, 1e6),
        "stale_while_revalidate": st.floats(0, 1e6),
        "stale_if_error": st.floats(0, 1e6),
        "scope": st.sampled_from(get_args(Scope)),
        "consistency": st.sampled_from(get_args(Consistency)),
        "invalidation": st.lists(st.sampled_from(get_args(Invalidation)), unique=True).map(tuple),
    },
)


@given(OWN)
def test_what_is_written_holds_or_is_refused(own: dict[str, Any]) -> None:
    try:
        terms = terms_of(CachingSettings(**own))
    except ConfigError:
        return

    assert {name: getattr(terms, name) for name in own} == own
    assert terms.invalidation or not terms.cacheable


def test_the_table_tells_of_every_profile() -> None:
    table = profile_table()

    assert all(f"| `{profile}` |" in table for profile in get_args(Profile))
    assert len({line.count("|") for line in table.splitlines()}) == 1
