import orjson

from llmproxy.caching.board import Board, Verdict
from llmproxy.caching.entry import Entry
from llmproxy.caching.insight import Insight, Standing
from llmproxy.caching.inspecting import Inspected
from llmproxy.caching.parts import Difference, Part
from llmproxy.caching.recents import Near


def found(verdict: Verdict) -> Inspected:
    return Inspected("near", Entry(200, b"", b"12345", mark=Board().now()), verdict)


def test_what_nobody_gets_is_told_and_the_rest_is_a_caches_to_judge() -> None:
    assert Standing.missing(None) == Standing("none")
    assert Standing.missing(found(Verdict.PURGED)) == Standing("purged", "near", size=5)
    assert Standing.missing(found(Verdict.SOFT)) is None
    assert Standing.missing(found(Verdict.GOOD)) is None


def test_all_of_it_can_be_sent() -> None:
    near = Near([Difference("temperature", "0", "1")], 3.5)
    told = Insight([("ttl", "7d")], "yes", "k", [Part("a", "d", "1")], Standing("none"), near).tree

    assert orjson.loads(orjson.dumps(told)) == {
        "terms": [["ttl", "7d"]],
        "kept": "yes",
        "key": "k",
        "parts": [{"name": "a", "digest": "d", "shown": "1", "loose": ""}],
        "entry": {"state": "none"},
        "near": {
            "differences": [{"name": "temperature", "here": "0", "there": "1", "why": ""}],
            "seconds": 3.5,
        },
    }


def test_a_request_that_goes_past_has_little_to_tell() -> None:
    assert Insight([], "no: method").tree == {"terms": [], "kept": "no: method", "parts": []}
