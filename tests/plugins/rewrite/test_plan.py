from __future__ import annotations

from llmproxy.config import decode_struct
from llmproxy_rewrite.config import RewriteRoute
from llmproxy_rewrite.plan import Plan


def lookup(kind: str, name: str) -> str | None:
    return "a/b" if kind == "path" else None


def test_a_route_without_options_changes_nothing() -> None:
    plan = Plan(RewriteRoute(), "/*")

    assert not plan.changes_target
    assert not any([plan.headers, plan.body, plan.reply_headers, plan.reply_body, plan.told])


def test_a_routes_options_are_compiled() -> None:
    tree = {
        "path": {"to": "/x/{path.rest}"},
        "body": [
            {"set": "/a", "to": 1},
            {"default": "/b", "to": 2},
            {"remove": "/c"},
            {"rename": "/d", "to": "e"},
        ],
        "deprecated": {"sunset": "2027-01-01"},
    }
    plan = Plan(decode_struct(RewriteRoute, tree), "/old/{rest...}")
    body = b'{"c":3,"d":4}'
    for change in plan.body:
        body = change(body, lookup)

    assert plan.path is not None
    assert plan.path.apply("/old/a/b", lookup) == "/x/a/b"
    assert body == b'{"e":4,"a":1,"b":2}'
    assert plan.told[0][0] == "Sunset"
