from __future__ import annotations

from llmproxy.config import decode_struct
from llmproxy_aggregate.config import AggregateRoute
from llmproxy_aggregate.plan import Plan


def plan(**options):
    return Plan(decode_struct(AggregateRoute, options))


def test_calls_stand_after_those_that_they_need():
    made = plan(calls={"d": "/d/{c}", "c": "/c/{a}/{b}", "a": "/a", "b": "/b"})

    assert [call.name for call in made.calls] == ["a", "b", "c", "d"]
    assert made.calls[2].needs == {"a", "b"}
    assert made.waves() == [["a", "b"], ["c"], ["d"]]


def test_only_what_is_referred_to_is_read_of_a_request():
    made = plan(
        calls={
            "a": {"target": "/a/{params/x}", "headers": {"x-t": "{caller/tenant}"}, "forward": ["X-Lang"]}
        },
        answer={"of": "{headers/X-User}"},
        headers={"x-q": "{query/q}"},
    )

    assert made.sources == {"params", "caller", "headers", "query"}
    assert made.varies == ("x-lang", "x-user")
    assert not made.personal
    assert plan(calls={"a": "/a/{caller/key}"}).personal
