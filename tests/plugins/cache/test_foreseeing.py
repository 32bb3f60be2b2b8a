"""What `llmproxy explain` says of the cache."""

from __future__ import annotations

from typing import Any

import orjson
from tests.plugins.cache.conftest import Asked

from llmproxy_cache.config import CacheRoute
from llmproxy_cache.foreseeing import foresee
from llmproxy_cache.policy import Policy

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "The code is 0000"}], "temperature": 0}


def told(asked: Asked, settings: CacheRoute, body: Any = ASK, **headers: str) -> dict[str, str]:
    policy = Policy("models", settings, lambda _: None)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return dict(foresee(policy, asked(ASK, headers=fields), data))


def test_each_term_says_where_it_comes_from(asked: Asked) -> None:
    said = told(asked, CacheRoute(profile="faq", ttl=60.0))

    assert said["profile"] == "faq (the route's own)"
    assert said["ttl"] == "1m (the route's own)"
    assert said["stale while revalidate"] == "1d (profile faq)"
    assert said["invalidation"] == "ttl, tags, events (profile faq)"


def test_a_stateless_route_says_no_more(asked: Asked) -> None:
    assert list(told(asked, CacheRoute()))[-1] == "sampled"


def test_the_keys_parts_are_told_and_no_text(asked: Asked) -> None:
    said = told(asked, CacheRoute(profile="deterministic"))

    assert said["kept"] == "if the answer is whole and without a flaw (chat)"
    assert said["key part temperature"] == "0"
    assert "key part messages[0]" in said
    assert "0000" not in repr(said)


def test_why_nothing_is_kept_is_told(asked: Asked) -> None:
    settings = CacheRoute(profile="deterministic")

    assert told(asked, settings, {**ASK, "temperature": 1})["kept"] == "no: sampled"
    assert told(asked, settings, b"{")["kept"] == "no: unreadable"
    assert told(asked, settings, cache_control="no-store")["kept"] == "no: asked"
    assert told(asked, settings, x_llmproxy_cache="refesh")["kept"].startswith("no: The header")
    assert told(asked, CacheRoute(profile="personal"))["kept"] == "no: no-end-user"
