from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

import llmproxy_httpcache
from llmproxy.caching.profiles import profile_table
from llmproxy.plugin import ConfigError
from llmproxy_httpcache.config import GraphQL, HttpCacheRoute
from llmproxy_httpcache.standing import Profile

from .stage import policy_of


def test_a_switch_of_the_routes_own_wins_over_the_profile() -> None:
    policy = policy_of(
        "rfc9111",
        heuristics=0.0,
        client_directives="ignore",
        set_cookie="refuse",
        credentials="separate",
        stale_when_disconnected=False,
        stale_if_error=7.0,
    )

    assert (policy.heuristics, policy.obeys_callers, policy.set_cookie) == (0.0, False, False)
    assert not policy.shares_credentials
    assert not policy.stale_when_disconnected
    assert policy.stale_if_error == 7
    assert policy.mends_parts
    assert HttpCacheRoute(ttl=5.0).standing.policy.ttl == 5


def test_a_profile_that_all_caches_share_is_as_safe_as_api_and_brings_its_times() -> None:
    policy, standing = policy_of("semi-static"), HttpCacheRoute(profile="semi-static").standing

    assert (policy.ttl, policy.stale_while_revalidate, policy.stale_if_error) == (600, 3600, 86400)
    assert (policy.set_cookie, policy.shares_credentials, policy.obeys_callers) == (False, False, False)
    assert (standing.scope, standing.consistency) == ("tenant", "eventual")
    assert set(standing.values["invalidation"]) == {"ttl", "tags", "events", "writes"}


def test_what_is_to_be_of_seconds_is_so_whatever_the_origin_says() -> None:
    assert policy_of("realtime").max_ttl == 2
    assert policy_of("realtime", ttl=5.0).max_ttl == 5
    assert policy_of("realtime", max_ttl=9.0).max_ttl == 9
    assert policy_of("static").max_ttl is None
    assert HttpCacheRoute(profile="realtime").standing.consistency == "validate"


def test_only_a_cache_that_is_one_end_users_keeps_what_is_private() -> None:
    assert policy_of("personal").keeps_private
    assert not policy_of("personal", scope="key").keeps_private
    assert not policy_of("personal", credentials="share").keeps_private
    assert not policy_of("api").keeps_private
    assert policy_of("api", scope="end-user", private="store").keeps_private


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_value_tells_where_it_comes_from(profile: Any) -> None:
    told = {name: (value, why) for name, value, why in HttpCacheRoute(profile=profile).standing.told()}

    assert told["profile"] == (profile, "the route's own")
    assert {why for name, (_, why) in told.items() if name != "profile"} == {f"profile {profile}"}


def test_what_the_route_says_is_told_as_its_own() -> None:
    told = {name: why for name, _, why in HttpCacheRoute(ttl=5.0, scope="key").standing.told()}

    assert (told["profile"], told["ttl"]) == (
        "the default, for the route has a ttl and names none",
        "the route's own",
    )
    assert (told["scope"], told["consistency"]) == ("the route's own", "the default")


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"profile": "stateless", "ttl": 5.0}, "ttl"),
        ({"profile": "stateless", "stale_if_error": 5.0}, "stale_if_error"),
        ({"profile": "api", "invalidation": ()}, "invalidation"),
        ({"profile": "static", "invalidation": ()}, "invalidation"),
        ({"profile": "api", "consistency": "strong", "invalidation": ("ttl",)}, "invalidation"),
        ({"profile": "realtime", "consistency": "strong"}, "invalidation"),
        ({"profile": "api", "private": "store"}, "private"),
        ({"profile": "personal", "scope": "key", "private": "store"}, "private"),
        ({"profile": "api", "user_header": "X-User"}, "user_header"),
        ({"profile": "api", "override": True}, "override"),
        ({"graphql": GraphQL()}, "graphql"),
    ],
)
def test_what_contradicts_itself_or_leaves_open_what_ends_an_answer_is_refused(
    settings: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigError) as told:
        HttpCacheRoute(**settings)

    assert told.value.path == where


def test_the_readme_shows_the_profiles_as_they_are() -> None:
    assert profile_table() in Path(llmproxy_httpcache.__file__).with_name("README.md").read_text("utf-8")
