import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage
from llmproxy_anthropic.usage import USAGE, read_usage, write_usage

from .conftest import whole

COUNT = st.integers(0, 2**40)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 0, 0, 4)),
        (
            {
                "input_tokens": 3,
                "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 7,
                "output_tokens": 11,
            },
            Usage(3, 7, 5, 11),
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
            Usage(1, 0, 0, 5, 4),
        ),
        (
            {"input_tokens": 1, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}},
            Usage(1, 0, 0, 0, 3),
        ),
        ({"input_tokens": 1, "cache_read_input_tokens": None, "output_tokens": None}, Usage(1)),
        ({"output_tokens": 2}, Usage(0, 0, 0, 2)),
        ({"input_tokens": True, "output_tokens": -1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_counts_are_sorted_into_buckets(told, expected):
    assert read_usage(told) == expected


def test_what_is_told_later_replaces_what_was_before():
    assert read_usage(
        {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 1},
        {"input_tokens": None, "output_tokens": 9},
    ) == Usage(3, 2, 0, 9)


@given(st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT))
def test_buckets_come_back_as_they_were_written(usage):
    assert read_usage(write_usage(usage)) == usage


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"usage":3}', b'{"usage":null}', b"[" * 9999])
def test_a_body_without_usage_has_none(body):
    assert USAGE.of_body(body) is None


@pytest.mark.parametrize(
    ("data", "first", "last"),
    [
        (b'{"usage":{"a":1}} {"usage" : {"a":{"b":2}}}', {"a": 1}, {"a": {"b": 2}}),
        (b'{"usage":{"a":1}} {"usage":{"a":', {"a": 1}, {"a": 1}),
        (b'{"x":"\\"usage\\":{}"}', None, None),
        (b'{"usage":3,"x":{}}', None, None),
        (b'{"usage":{"a":"}"}}', None, None),
        (b'"usage"', None, None),
    ],
)
def test_usage_is_found_in_pieces_of_a_stream(data, first, last):
    assert (USAGE.first_object(data), next(USAGE.objects(data), None)) == (first, last)


@pytest.mark.shared
def test_golden_every_recorded_answers_buckets_sum_to_its_total(recordings):
    for record in whole(recordings):
        told = record["response"]["body"]["usage"]
        usage = USAGE.of_body(orjson.dumps(record["response"]["body"]))
        into = [told.get(f"{kind}input_tokens") or 0 for kind in ("", "cache_read_", "cache_creation_")]

        assert usage is not None
        assert [usage.input, usage.cache_read, usage.cache_write] == into
        assert usage.total == sum(into) + told["output_tokens"]
