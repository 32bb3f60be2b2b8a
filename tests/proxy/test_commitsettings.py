"""Late commit: how a route bounds what is held."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.commitsettings import WAIT
from llmproxy.config import decode
from llmproxy.errors import ConfigErrors
from llmproxy.settings import RouteConfig


def route(**options: Any) -> RouteConfig:
    tree = {
        "upstreams": {"a": {"base_url": "http://127.0.0.1:1"}},
        "routes": [{"name": "r", "upstream": "a", **options}],
    }
    return decode(tree, environ={}, read_file=str).routes[0]


def test_without_a_word_an_answer_is_held_for_half_a_minute() -> None:
    commit = route().commit

    assert (commit.seconds(None), commit.bytes, commit.events) == (WAIT, 256 * 1024, 64)


def test_with_signs_of_life_the_attempts_own_time_bounds_it() -> None:
    assert route(keepalive="15s").commit.seconds(15.0) == float("inf")
    assert route(commit="10s").commit.seconds(15.0) == 10.0


@pytest.mark.parametrize("off", ["off", False, "0s", {"wait": 0}])
def test_it_may_be_off(off: object) -> None:
    assert route(commit=off).commit.seconds(None) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"commit": {"bytes": 0}}, "routes[0].commit.bytes: not between 1B and 8MiB"),
        ({"commit": {"bytes": "9MiB"}}, "routes[0].commit.bytes: not between 1B and 8MiB"),
        ({"keepalive": "10ms"}, "routes[0].keepalive: less than a second"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        route(**options)

    assert str(caught.value).startswith(told)
