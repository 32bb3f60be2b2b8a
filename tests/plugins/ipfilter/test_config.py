from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_ipfilter.config import IpFilterConfig, IpFilterRoute


@pytest.mark.parametrize(
    ("kind", "given", "path"),
    [
        (IpFilterConfig, {"allow": ("10.0.0.0/8", "10.0.0.1/8")}, "allow[1]"),
        (IpFilterConfig, {"deny": ("example.com",)}, "deny[0]"),
        (IpFilterRoute, {"deny": ("example.com",)}, "deny[0]"),
        (IpFilterRoute, {"allow": ()}, "allow"),
    ],
)
def test_a_mistake_is_told_by_its_key(kind: Any, given: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**given)

    assert caught.value.path == path


def test_a_route_that_says_nothing_changes_nothing() -> None:
    assert IpFilterRoute().allow is None
    assert IpFilterRoute(deny=()).deny == ()
