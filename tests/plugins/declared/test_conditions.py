from __future__ import annotations

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_declared.conditions import Condition


@pytest.mark.parametrize(
    ("given", "document", "expected"),
    [
        ("/done", {"done": True}, True),
        ("/done", {"done": False}, False),
        ("/done", {"done": None}, False),
        ("/done", {}, False),
        ("/done", {"done": ""}, False),
        ("/done", [], False),
        ({"/status": "failed"}, {"status": "failed"}, True),
        ({"/status": ["failed", "canceled"]}, {"status": "canceled"}, True),
        ({"/status": ["failed"]}, {"status": "ok"}, False),
        ({"/ok": False}, {"ok": False}, True),
        ({"/ok": False}, {"ok": 0}, False),
        ({"/ok": False}, {}, False),
        ({"/ok": None}, {}, True),
        ({"/n": 1}, {"n": True}, False),
        ({"/a": 1, "/b": 2}, {"a": 1, "b": 2}, True),
        ({"/a": 1, "/b": 2}, {"a": 1, "b": 3}, False),
    ],
)
def test_a_condition_holds_of_what_stands_at_its_places(given, document, expected):
    assert Condition(given, "when").holds(document) is expected


def test_an_event_is_told_by_its_name():
    condition = Condition({"event": ["done", "end"], "/x": 1}, "end")

    assert condition.holds({"x": 1}, "done")
    assert not condition.holds({"x": 1}, "delta")
    assert not condition.holds({"x": 2}, "done")


@pytest.mark.parametrize("given", [None, {}, 7, ["/a"], {"a": 1}, "a b"])
def test_what_is_no_condition_is_refused_where_it_stands(given):
    with pytest.raises(ConfigError) as caught:
        Condition(given, "stream.end")

    assert caught.value.path == "stream.end"
