from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy_aggregate.config import AggregateConfig, AggregateRoute


def route(**options):
    return decode_struct(AggregateRoute, options)


def told(**options):
    with pytest.raises(ConfigErrors) as fault:
        route(**options)
    return str(fault.value)


def test_a_call_may_be_its_target_alone():
    assert route(calls={"a": "/a/{params/x}"}).calls["a"].target == "/a/{params/x}"
    assert decode_struct(AggregateRoute, "internal").internal


def test_calls_come_after_those_that_they_need():
    calls = {
        "c": {"target": "/c", "method": "POST", "body": {"of": "{b/id}"}},
        "b": {"target": "/b", "headers": {"x-a": "{a/id}"}},
        "a": "/a",
    }

    assert route(calls=calls).order == {"a": frozenset(), "b": {"a"}, "c": {"b"}}


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"calls": {}}, "calls: empty"),
        ({"internal": True, "answer": {"a": 1}}, "calls: empty"),
        ({"calls": {f"c{n}": "/c" for n in range(17)}}, "calls: more than 16"),
        ({"calls": {"query": "/q"}}, "calls.query: 'query' cannot be the name of a call"),
        ({"calls": {"a b": "/q"}}, "cannot be the name of a call"),
        ({"calls": {"a": "http://x/"}}, "calls.a.target: 'http://x/' is no path of this gateway"),
        ({"calls": {"a": "/x y"}}, "calls.a.target: holds a fragment"),
        ({"calls": {"a": "/x#{query/y}"}}, "calls.a.target: holds a fragment"),
        ({"calls": {"a": "/x/{"}}, "calls.a.target: a '{' stands alone"),
        ({"calls": {"a": "/x/{b/id}"}}, "calls.a: refers to 'b', which is no call and no source"),
        ({"calls": {"a": "/a"}, "answer": "{b}"}, "answer: refers to 'b'"),
        ({"calls": {"a": "/a"}, "answer": ["{a.b}"]}, "answer: 'a.b' is no reference"),
        ({"calls": {"a": "/a"}, "headers": {"x": "{b}"}}, "headers: refers to 'b'"),
        ({"calls": {"a": "/a"}, "headers": {"content-length": "1"}}, "headers.content-length: "),
        ({"calls": {"a": "/a"}, "headers": {"content-type": "x"}}, "headers.content-type: "),
        ({"calls": {"a": "/a/{a/id}"}}, "calls: they wait for one another: a -> a"),
        ({"calls": {"a": "/a/{b/id}", "b": "/b/{a/id}"}}, "calls: they wait for one another: "),
        ({"calls": {"a": {"target": "/a", "method": "get"}}}, "calls.a.method: 'get' is not a method"),
        ({"calls": {"a": {"target": "/a", "body": {}}}}, "calls.a.body: GET has none"),
        ({"calls": {"a": {"target": "/a", "timeout": "0s"}}}, "calls.a.timeout: "),
        ({"calls": {"a": {"target": "/a", "default": 1}}}, "calls.a.default: "),
        ({"calls": {"a": {"target": "/a", "on_failure": "default"}}}, "calls.a.default: "),
        ({"calls": {"a": {"target": "/a", "on_failure": "retry"}}}, "calls.a.on_failure: "),
        ({"calls": {"a": {"target": "/a", "headers": {"Host": "x"}}}}, "calls.a.headers.Host: "),
        (
            {"calls": {"a": {"target": "/a", "forward": ["transfer-encoding"]}}},
            "calls.a.forward.transfer-encoding",
        ),
        ({"calls": {"a": {"target": "/a", "pick": ["name"]}}}, "calls.a.pick: 'name' is no path"),
        ({"calls": {"a": {"target": "/a", "relay": [99]}}}, "calls.a.relay[0]: "),
        ({"calls": {"a": {"target": "/a", "retries": 1}}}, "calls.a.retries: "),
    ],
)
def test_mistakes_are_told_by_their_path(options, mistake):
    assert mistake in told(**options)


def test_bounds_have_sizes():
    config = decode_struct(AggregateConfig, {"max_reply": "2MiB", "timeout": "3s"})

    assert (config.max_reply, config.timeout, config.max_depth) == (2 << 20, 3.0, 3)


def test_references_to_parameters_that_the_route_does_not_have_are_refused():
    options = route(calls={"a": "/a/{params/id}/{params/no|1}"}, answer={"b": "{params/at}"})
    options.check_parameters({"id", "at"})

    with pytest.raises(ConfigError, match=r"answer: the route's path has no parameter 'at' \(id\)"):
        options.check_parameters({"id"})
    with pytest.raises(
        ConfigError, match=r"calls\.a: the route's path has no parameter 'id' \(it has none\)"
    ):
        options.check_parameters(())
