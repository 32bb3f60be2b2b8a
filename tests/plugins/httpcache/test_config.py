from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_httpcache.config import HttpCacheConfig, HttpCacheRoute
from llmproxy_httpcache.policy import policy_of


def test_a_route_caches_nothing_until_it_says_so() -> None:
    assert not HttpCacheRoute().active
    assert HttpCacheRoute(profile="api").active
    assert HttpCacheRoute(ttl=5.0).active


def test_a_profile_can_be_named_alone() -> None:
    assert HttpCacheRoute.from_shorthand("api") == {"profile": "api"}


def test_a_switch_of_the_routes_own_wins_over_the_profile() -> None:
    route = HttpCacheRoute(
        profile="rfc9111",
        heuristics=0.0,
        client_directives="ignore",
        set_cookie="refuse",
        credentials="separate",
        stale_when_disconnected=False,
        stale_if_error=7.0,
    )
    policy = route.policy()

    assert (policy.heuristics, policy.obeys_callers, policy.set_cookie) == (0.0, False, False)
    assert (policy.shares_credentials, policy.stale_when_disconnected, policy.stale_if_error) == (
        False,
        False,
        7,
    )
    assert policy.mends_parts
    assert HttpCacheRoute(ttl=5.0).policy().ttl == 5
    assert HttpCacheRoute(profile="api").policy() == policy_of("api")


def test_head_is_cached_with_get_and_methods_that_are_cached_are_safe() -> None:
    assert HttpCacheRoute(methods=("GET", "POST")).cacheable == {"GET", "HEAD", "POST"}
    assert "POST" in HttpCacheRoute(methods=("POST",)).safe
    assert "POST" not in HttpCacheRoute().safe


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"methods": ("DELETE",)}, "methods[0]"),
        ({"methods": ("GET", "get")}, "methods[1]"),
        ({"vary": ("a b",)}, "vary[0]"),
        ({"heuristics": 1.5}, "heuristics"),
        ({"override": True}, "override"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as told:
        HttpCacheRoute(**settings)

    assert told.value.path == where


@pytest.mark.parametrize("name", ["", "9a", "a b", "ä"])
def test_a_name_that_no_token_can_be_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        HttpCacheConfig(store="s", name=name)
