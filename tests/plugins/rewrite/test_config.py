from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_rewrite.config import RewriteRoute

MANY = [{"remove": "/a"}] * 65


@pytest.mark.parametrize(
    ("tree", "path", "problem"),
    [
        ({"path": {}}, "path", "write to, strip"),
        ({"path": {"to": "/a", "strip": "/b"}}, "path.to", "strip beside it"),
        ({"path": {"to": "a"}}, "path.to", "no path"),
        ({"path": {"to": "/{match.a}"}}, "path.to", "no group"),
        ({"path": {"to": "/{nothing}"}}, "path.to", "no placeholder"),
        ({"path": {"strip": "/v1/"}}, "path.strip", "no prefix"),
        ({"path": {"add": "/a/../b"}}, "path.add", "no prefix"),
        ({"path": {"add": "//b"}}, "path.add", "no prefix"),
        ({"path": {"replace": [{"path": "(", "by": "/"}]}}, "path.replace[0].path", "RE2"),
        (
            {"path": {"replace": [{"path": "(?P<a>.*)", "by": "/{match.b}"}]}},
            "path.replace[0].by",
            "no group",
        ),
        ({"headers": {"set": {"Host": "x"}}}, "headers", "gateway alone"),
        ({"headers": {"remove": ["transfer_encoding"]}}, "headers", "gateway alone"),
        ({"headers": {"rename": {"X-A": "Content-Length"}}}, "headers", "gateway alone"),
        ({"headers": {"add": {"X A": "x"}}}, "headers", "no header"),
        ({"headers": {"remove": ["*"]}}, "headers", "no header"),
        ({"reply": {"headers": {"set": {"Content-Encoding": "br"}}}}, "reply.headers", "gateway alone"),
        ({"query": {"set": {"a": "{path}"}}}, "query.set.a", "no placeholder"),
        ({"body": [{}]}, "body[0]", "one of set"),
        ({"body": [{"set": "/a", "remove": "/b", "to": 1}]}, "body[0]", "one of set"),
        ({"body": [{"set": "a", "to": 1}]}, "body[0].set", "no JSON pointer"),
        ({"body": [{"set": "/a"}]}, "body[0].to", "missing"),
        ({"body": [{"remove": "/a", "to": 1}]}, "body[0].to", "of no use"),
        ({"body": [{"rename": "/a", "to": 1}]}, "body[0].to", "a text"),
        ({"body": [{"set": "/a", "to": ["{match.x}"]}]}, "body[0].to", "no group"),
        ({"body": MANY}, "body", "more than 64"),
        ({"reply": {"body": MANY}}, "reply.body", "more than 64"),
        ({"deprecated": {"since": "soon"}}, "deprecated.since", "no date"),
        (
            {"deprecated": {"since": "2026-02-01", "sunset": "2026-01-01"}},
            "deprecated.sunset",
            "before since",
        ),
        ({"deprecated": {"successor": "a b"}}, "deprecated.successor", "no URL"),
    ],
)
def test_a_mistake_is_told_by_its_key(tree: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ConfigErrors, match=problem) as caught:
        decode_struct(RewriteRoute, tree, "")

    assert caught.value.errors[0].path.rstrip(".") == path


def test_what_may_be_written_is_read() -> None:
    options = decode_struct(
        RewriteRoute,
        {
            "path": {
                "strip": "/v1",
                "replace": [{"path": "/a/(?P<x>.*)", "by": "/b/{match.x}"}],
                "add": "/api",
            },
            "query": {"remove": ["debug"], "set": {"tenant": "{caller.tenant}"}},
            "headers": {"remove": ["x-internal-*"], "set": {"X-User": "{caller.key|nobody}"}},
            "body": [{"set": "/user", "to": None}, {"rename": "/a", "to": "b"}],
        },
    )

    assert options.body[0].to is None
