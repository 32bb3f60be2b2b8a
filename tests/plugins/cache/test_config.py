"""The configuration, as the file writes it."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import StartError
from llmproxy_cache.config import CacheConfig, CacheRoute


def test_a_profile_is_all_that_a_route_needs() -> None:
    route = decode_struct(CacheRoute, {"profile": "faq"})

    assert (route.profile, route.ttl) == ("faq", None)


def test_a_route_says_more_where_it_wants() -> None:
    route = decode_struct(
        CacheRoute,
        {
            "ttl": "10m",
            "invalidation": ["tags", "events"],
            "allow": ["references"],
            "normalise": {"space": "collapse", "volatile": ["uuids"]},
            "max_body": "1MiB",
        },
    )

    assert (route.ttl, route.max_body, route.normalise.space) == (600, 1 << 20, "collapse")


@pytest.mark.parametrize(
    ("route", "place"),
    [
        ({"ttl": "5m"}, "invalidation"),
        ({"profile": "faq", "variants": 0}, "variants"),
        ({"profile": "faq", "variants": 1000}, "variants"),
        ({"profile": "faq", "early_refresh": -1}, "early_refresh"),
        ({"profile": "faq", "downstream": "private\n"}, "downstream"),
        ({"profile": "faq", "key_headers": ["X-Ok", "a b"]}, r"key_headers\[1\]"),
        ({"profile": "faq", "tags_header": "a b"}, "tags_header"),
        ({"profile": "faq", "allow": ["state"]}, r"allow\[0\]"),
        ({"profile": "faq", "normalise": {"patterns": ["(a+)+"]}}, r"normalise\.patterns\[0\]"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(route: dict[str, Any], place: str) -> None:
    with pytest.raises(StartError, match=rf"routes\.chat\.cache\.{place}"):
        decode_struct(CacheRoute, route, "routes.chat.cache")


@pytest.mark.parametrize("name", ["", "1st", "a b"])
def test_the_caches_name_is_a_token(name: str) -> None:
    with pytest.raises(StartError, match="no token"):
        decode_struct(CacheConfig, {"store": "answers", "name": name})
