from __future__ import annotations

from llmproxy.config import decode_struct
from llmproxy_rewrite.config import RewriteRoute
from llmproxy_rewrite.foreseeing import foreseen


def test_a_route_tells_what_it_changes_by_its_own_names() -> None:
    tree = {
        "path": {"strip": "/v1"},
        "query": {"remove": ["debug"]},
        "headers": {"set": {"X-A": "{header.x-secret}"}, "add": {"X-B": "1"}, "rename": {"X-C": "X-D"}},
        "body": [{"set": "/a", "to": "{header.x-secret}"}, {"rename": "/b", "to": "c"}],
        "reply": {"headers": {"remove": ["server"]}, "body": [{"remove": "/secret"}]},
        "deprecated": {"sunset": "2027-01-01"},
    }

    assert foreseen(decode_struct(RewriteRoute, tree)) == [
        ("path", "rewritten"),
        ("query", "remove debug"),
        ("headers", "rename X-C to X-D, set X-A, add X-B"),
        ("body", "set /a, rename /b"),
        ("answer's headers", "remove server"),
        ("answer's body", "remove /secret"),
        ("deprecated", "told"),
    ]


def test_a_route_that_changes_nothing_tells_nothing() -> None:
    assert foreseen(RewriteRoute()) == []
