from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.plugin import Parts, Usage
from llmproxy_cohere.usage import USAGE, billed_usage, counted_usage, written_usage

from .conftest import streamed

TOLD = {
    "billed_units": {"input_tokens": 65, "output_tokens": 63},
    "tokens": {"input_tokens": 508, "output_tokens": 86, "reasoning_tokens": 28},
    "cached_tokens": 144,
}


def test_what_is_billed_and_what_was_counted_are_two_things() -> None:
    assert billed_usage(TOLD) == Usage(65, 0, 0, 35, 28)
    assert counted_usage(TOLD) == Usage(364, 144, 0, 58, 28)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"billed_units": {"search_units": 2.0}}, Usage(units=2)),
        ({"billed_units": {"images": 3}}, Usage(units=3)),
        ({"billed_units": {"input_tokens": 7, "image_tokens": 0}}, Usage(7)),
        (
            {"billed_units": {"input_tokens": 7, "image_tokens": 20, "text_tokens": 7}},
            Usage(27, parts=Parts(input_image=20)),
        ),
        ({"tokens": {"input_tokens": 5, "output_tokens": 2}}, Usage(5, 0, 0, 2)),
        ({"billed_units": {}, "tokens": {"input_tokens": 5}}, Usage(5)),
        ({"billed_units": {"input_tokens": -1}}, Usage()),
        ({}, None),
    ],
)
def test_a_bill_falls_into_buckets(told: dict[str, Any], usage: Usage | None) -> None:
    assert billed_usage(told) == usage


def test_written_usage_reads_the_same() -> None:
    usage = Usage(51, 60, 0, 5, 7)

    assert counted_usage(written_usage(usage)) == usage
    assert written_usage(None) == {}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usage":3}', b"{", b"\xff"])
def test_a_body_without_usage_tells_none(body: bytes) -> None:
    assert USAGE.of_body(body) is None


def test_golden_every_recorded_answer_is_counted_as_billed(recordings: list[dict[str, Any]]) -> None:
    kinds = ("cohere.chat_v2", "cohere.chat_v1", "cohere.embed", "rerank")
    for record, body in whole(recordings, *kinds):
        told = orjson.loads(body)
        bill = (told.get("usage") or told["meta"])["billed_units"]

        usage = USAGE.whole(body)[0]

        assert usage is not None, record["id"]
        assert usage.total == bill.get("input_tokens", 0) + bill.get("output_tokens", 0), record["id"]
        assert usage.units == bill.get("search_units", 0), record["id"]


def test_golden_every_recorded_answers_buckets_sum_to_its_tokens(recordings: list[dict[str, Any]]) -> None:
    for record, body in whole(recordings, "cohere.chat_v2"):
        told = orjson.loads(body).get("usage")
        if told is not None:
            usage = counted_usage(told)

            assert usage is not None
            assert usage.total == sum(told["tokens"].values()), record["id"]
            assert usage.cache_read == told.get("cached_tokens", 0), record["id"]


def test_golden_every_recorded_stream_tells_its_bill(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        last = next(line for line in reversed(data.splitlines()) if b'"message-end"' in line)
        told = orjson.loads(last.removeprefix(b"data: "))["delta"]["usage"]
        usage = USAGE.last(data)

        assert usage is not None
        assert usage.total == sum(told["billed_units"].values()), record["id"]
        assert usage.reasoning == told["tokens"].get("reasoning_tokens", 0)
