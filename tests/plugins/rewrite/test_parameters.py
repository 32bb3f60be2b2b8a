from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import decode_struct
from llmproxy.errors import ConfigError
from llmproxy_rewrite.config import RewriteRoute
from llmproxy_rewrite.parameters import check_parameters


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"path": "/x/{path.no}"}, "path.to"),
        ({"path": {"replace": [{"path": "/a", "by": "/b/{path.no}"}]}}, "path.replace[0].by"),
        ({"query": {"add": {"q": "{path.no}"}}}, "query.add.q"),
        ({"headers": {"set": {"X-A": "a {path.no}"}}}, "headers.set.X-A"),
        ({"reply": {"headers": {"set": {"X-A": "{path.no}"}}}}, "reply.headers.set.X-A"),
        ({"body": [{"remove": "/a"}, {"set": "/b", "to": ["{path.no}"]}]}, "body[1].to"),
        ({"reply": {"body": [{"set": "/b", "to": "{path.no}"}]}}, "reply.body[0].to"),
    ],
)
def test_a_parameter_that_the_path_does_not_have_is_told_with_those_that_it_has(
    tree: Any, place: str
) -> None:
    with pytest.raises(ConfigError) as told:
        check_parameters(decode_struct(RewriteRoute, tree), {"id", "at"})

    assert str(told.value) == f"{place}: the route's path has no parameter 'no' (at, id)"


def test_one_that_it_has_and_one_with_a_fallback_will_do() -> None:
    tree = {"path": "/x/{path.id}/{path.no|7}", "headers": {"set": {"X-A": "{header.no}"}}}

    check_parameters(decode_struct(RewriteRoute, tree), {"id"})
