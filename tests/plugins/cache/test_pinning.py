"""Which keys an answer is pinned under; the whole of it: tests/proxy/caching/test_warming.py."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.cache.conftest import Asked

from llmproxy_cache.config import CacheRoute
from llmproxy_cache.pinning import variants_of
from llmproxy_cache.policy import Policy

DRAWN: dict[str, Any] = {"messages": [{"role": "user", "content": "Qqq"}], "temperature": 1}


@pytest.mark.parametrize(
    ("temperature", "variants", "keys"), [(1, 1, [b"k"]), (1, 3, [b"kv0", b"kv1", b"kv2"]), (0, 3, [b"k"])]
)
def test_every_answer_that_could_be_drawn_has_a_key(
    asked: Asked, temperature: float, variants: int, keys: list[bytes]
) -> None:
    policy = Policy("models", CacheRoute(profile="faq", variants=variants), lambda _: None)
    body = {**DRAWN, "temperature": temperature}
    keyed = policy.maker.keyed(asked(body), orjson.dumps(body))

    assert variants_of(policy, b"k", keyed) == keys
    assert variants_of(policy, "sampled", keyed) == []
