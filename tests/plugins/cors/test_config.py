from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_cors.config import CorsConfig, CorsRoute


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({"origins": ("https://a.example", "null")}, "origins[1]", "names nobody"),
        ({"origins": ("a.example",)}, "origins[0]", "no origin"),
        ({"origins": ("*",), "credentials": True}, "origins", "every site"),
        ({"expose": ("*",), "credentials": True}, "expose", "name the headers"),
        ({"origins": ("*",), "others": "refuse"}, "others", "nobody would be refused"),
        ({"methods": ("get",)}, "methods[0]", "no method"),
        ({"methods": ("TRACE",)}, "methods[0]", "no method"),
        ({"headers": ("X A",)}, "headers[0]", "no name"),
        ({"expose": ("X-A\r\nX-B: 1",)}, "expose[0]", "no name"),
    ],
)
@pytest.mark.parametrize("kind", [CorsConfig, CorsRoute])
def test_a_mistake_is_told_by_its_key(kind: Any, given: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        kind(**given)

    assert caught.value.path == path


def test_nobody_is_let_in_by_default() -> None:
    assert CorsConfig().origins == ()
    assert not CorsConfig().credentials
