from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import ConfigError, Headers, Usage
from llmproxy_declared.usage import UsageConfig, UsageReader


def reader(**places: Any) -> UsageReader:
    return UsageReader(UsageConfig(**places))


ALL = {name: f"/{name}" for name in ("input", "cache_read", "cache_write", "output", "reasoning", "total")}


@pytest.mark.parametrize(
    ("places", "told", "expected"),
    [
        ({}, {"input": 10, "output": 5}, Usage(10, 0, 0, 5, 0)),
        ({}, {"input": 10, "cache_read": 4, "cache_write": 1, "output": 5, "reasoning": 2}, Usage(5, 4, 1, 3, 2)),
        ({"details": "beside"}, {"input": 10, "cache_read": 4, "output": 5, "reasoning": 2}, Usage(10, 4, 0, 5, 2)),
        ({}, {"total": 12, "output": 5}, Usage(7, 0, 0, 5, 0)),
        ({}, {"total": 12}, Usage(12, 0, 0, 0, 0)),
        ({}, {"input": 7, "total": 12}, Usage(7, 0, 0, 5, 0)),
        ({}, {"input": 7, "output": 3, "total": 12}, Usage(7, 0, 0, 5, 0)),
        ({}, {"input": 7.0, "output": 3.5}, Usage(7, 0, 0, 0, 0)),
        ({}, {"input": 3, "cache_read": 9, "output": 1}, Usage(0, 3, 0, 1, 0)),
        ({}, {"input": [{}, {}, {}], "output": 1}, Usage(3, 0, 0, 1, 0)),
        ({}, {"input": "7", "output": True}, None),
        ({}, {"input": []}, None),
        ({}, {"input": -1, "output": 1e300}, None),
        ({}, {}, None),
    ],
)  # fmt: skip
def test_counts_are_sorted_into_disjoint_buckets(places, told, expected):
    assert reader(**{**ALL, **places}).of(told) == expected


def test_counts_of_many_are_added_up():
    counts = reader(input="/p/*/n", output="/p/*/out")

    assert counts.of({"p": [{"n": 2, "out": 1}, {"n": 3}]}) == Usage(5, 0, 0, 1, 0)


def test_a_head_tells_counts_and_a_body_more():
    read = reader(input="header:X-Prompt-Tokens", output=("header:x-out", "/out"))
    headers = Headers.of({"x-prompt-tokens": "7", "X-Out": "2"})

    assert read.of({}, headers) == Usage(7, 0, 0, 2, 0)
    assert read.of({"out": 3}, headers) == Usage(7, 0, 0, 3, 0)
    assert read.of({}, Headers.of({"x-prompt-tokens": "-7", "x-out": "9" * 30})) is None
    with pytest.raises(ConfigError, match="not a header name"):
        reader(input="header:a b")


def test_what_comes_later_counts():
    counts: dict[str, int] = {}
    read = reader(input="/i", output="/o")
    for told in ({"i": 5, "o": 1}, {"o": 3}, {"o": None}):
        read.read(told, counts)

    assert read.sort(counts) == Usage(5, 0, 0, 3, 0)


def test_a_section_names_something():
    with pytest.raises(ConfigError, match="names no path"):
        UsageConfig(cache_read="/x")


COUNTS = (
    st.none()
    | st.integers(-5, 10**15)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=3)
)


@given(st.fixed_dictionaries(dict.fromkeys(ALL, COUNTS)), st.sampled_from(["within", "beside"]))
def test_whatever_is_told_no_bucket_is_negative(told, details):
    usage = reader(**ALL, details=details).of(told)

    assert (
        usage is None
        or min(usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning) >= 0
    )


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_buckets_sum_to_the_total(into, cached, out, thought):
    told = {"input": into + cached, "cache_read": cached, "output": out + thought, "reasoning": thought}
    told["total"] = told["input"] + told["output"]

    usage = reader(**ALL).of(told)

    assert usage is not None
    assert usage.total == told["total"]
