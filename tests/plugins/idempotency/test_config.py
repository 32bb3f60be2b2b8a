from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_idempotency.config import IdempotencyConfig, IdempotencyRoute


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"header": "Idempotency Key"}, "header"),
        ({"lease": 0.1}, "lease"),
        ({"ttl": 0}, "ttl"),
        ({"methods": ()}, "methods"),
        ({"methods": ("POST", "GET")}, "methods[1]"),
        ({"methods": ("post",)}, "methods[0]"),
        ({"not_executed": (429, 200)}, "not_executed[1]"),
    ],
)
def test_what_cannot_protect_is_refused_by_its_place(wrong: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        IdempotencyConfig(store="kept", **wrong)

    assert caught.value.path == path


def test_a_route_is_checked_likewise() -> None:
    with pytest.raises(ConfigError, match=r"methods\[0\]"):
        IdempotencyRoute(methods=("HEAD",))


def test_a_route_changes_what_it_names_and_nothing_else() -> None:
    general = IdempotencyConfig(store="kept", ttl=60, required=True)

    here = IdempotencyRoute(required=False, not_executed=(503,)).over(general)

    assert (here.required, here.not_executed) == (False, (503,))
    assert (here.store, here.ttl, here.methods) == ("kept", 60, general.methods)
    assert IdempotencyRoute().over(general) == general
