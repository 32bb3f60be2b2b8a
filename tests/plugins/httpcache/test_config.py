from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_httpcache.config import HttpCacheConfig, HttpCacheRoute


def test_a_route_caches_nothing_until_it_says_so() -> None:
    assert not HttpCacheRoute().standing.active
    assert not HttpCacheRoute(profile="stateless").standing.active
    assert HttpCacheRoute(profile="api").standing.active
    assert HttpCacheRoute(ttl=5.0).standing.active


def test_a_profile_can_be_named_alone() -> None:
    assert HttpCacheRoute.from_shorthand("api") == {"profile": "api"}
    assert HttpCacheRoute.from_shorthand({"invalidation": "ttl"}) == {"invalidation": ["ttl"]}


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
        ({"user_header": "a b", "scope": "end-user"}, "user_header"),
        ({"early_refresh": -1.0}, "early_refresh"),
        ({"ttl": 0.5}, "ttl"),
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
