from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import Usage
from llmproxy_ollama.usage import USAGE, read_usage, written_usage

from .conftest import whole


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_eval_count": 5, "eval_count": 7}, Usage(5, 0, 0, 7)),
        ({"eval_count": 7}, Usage(0, 0, 0, 7)),
        ({"prompt_eval_count": 5}, Usage(5)),
        ({"prompt_eval_count": "5", "eval_count": -1}, None),
        ({"prompt_eval_count": True}, None),
        ({}, None),
    ],
)
def test_counts_are_sorted_into_buckets(told, usage):
    assert read_usage(told) == usage


def test_what_other_providers_count_apart_is_added_up():
    assert written_usage(Usage(1, 2, 3, 4, 5)) == {"prompt_eval_count": 6, "eval_count": 9}
    assert written_usage(None) == {}


def test_a_whole_answers_own_counts_are_read():
    told = {"message": {"content": '"eval_count":99'}, "x": {"eval_count": 1}, "eval_count": 3}

    assert USAGE.whole(orjson.dumps(told)) == (Usage(0, 0, 0, 3), False)
    assert USAGE.whole(b'{"eval_count":3,') == (None, True)
    assert USAGE.whole(b"no json") == (None, False)
    assert USAGE.whole(b"") == (None, False)


def test_a_long_answers_counts_stand_behind_its_vectors():
    assert USAGE.last(b'.5,0.1]],"total_duration":1,"prompt_eval_count":8}') == Usage(8)
    assert USAGE.last(b'"x":[1]}') is None
    assert USAGE.last(b"no list") is None


def test_recorded_counts_are_golden(recordings):
    for record, body in whole(recordings):
        told = record["response"]["body"]
        expected = Usage(told.get("prompt_eval_count", 0), 0, 0, told["eval_count"])

        assert USAGE.whole(body) == (expected, False)
