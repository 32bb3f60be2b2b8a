from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.plugin import Usage
from llmproxy_gemini.usage import USAGE, read_usage, written_usage

from .conftest import streamed


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"promptTokenCount": 8, "candidatesTokenCount": 2, "totalTokenCount": 10}, Usage(8, 0, 0, 2, 0)),
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 60,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 7,
                "toolUsePromptTokenCount": 11,
                "totalTokenCount": 123,
            },
            Usage(51, 60, 0, 5, 7),
        ),
        ({"promptTokenCount": 8, "totalTokenCount": 10}, Usage(8, 0, 0, 2, 0)),
        ({"totalTokenCount": 10}, Usage(10, 0, 0, 0, 0)),
        ({"promptTokenCount": 4}, Usage(4, 0, 0, 0, 0)),
        ({"candidatesTokenCount": 18, "thoughtsTokenCount": 58}, Usage(0, 0, 0, 18, 58)),
        ({"promptTokenCount": True, "trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": -1}, None),
        ({}, None),
    ],
)
def test_counts_fall_into_disjoint_buckets(told: dict[str, Any], usage: Usage | None) -> None:
    assert read_usage(told) == usage


def test_written_usage_reads_the_same() -> None:
    usage = Usage(51, 60, 0, 5, 7)

    assert read_usage(written_usage(usage)) == usage


def test_what_was_written_to_a_cache_counts_as_prompt() -> None:
    assert written_usage(Usage(1, 2, 3, 4, 0)) == {
        "promptTokenCount": 6,
        "candidatesTokenCount": 4,
        "totalTokenCount": 10,
        "cachedContentTokenCount": 2,
    }


def test_no_usage_is_an_empty_object() -> None:
    assert written_usage(None) == {}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usageMetadata":3}', b"{", b"\xff"])
def test_a_body_without_usage_tells_none(body: bytes) -> None:
    assert USAGE.of_body(body) is None


@pytest.mark.parametrize(
    "data",
    [
        b'..."usageMetadata": {"promptTokenCount": 1, "d": [{"x": 1}]}, "z": {"usageMetadata": {"promptTok',
        b'"usageMetadata":{"promptTokenCount":1} "usageMetadata":{}',
    ],
)
def test_the_last_whole_usage_counts(data: bytes) -> None:
    assert USAGE.last(data) == Usage(1, 0, 0, 0, 0)


def test_every_recorded_answers_buckets_sum_to_its_total(recordings: list[dict[str, Any]]) -> None:
    for record, body in whole(recordings, "gemini.generate"):
        told = orjson.loads(body)["usageMetadata"]
        usage = USAGE.of_body(body)

        assert usage is not None
        assert usage.total == told.get("totalTokenCount", usage.total), record["id"]
        assert usage.reasoning == told.get("thoughtsTokenCount", 0)
        assert usage.cache_read == told.get("cachedContentTokenCount", 0)


def test_every_recorded_stream_tells_its_last_usage(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        told = orjson.loads(data.rpartition(b"data: ")[2])["usageMetadata"]
        usage = USAGE.last(data)

        assert usage is not None
        assert usage.total == told["totalTokenCount"], record["id"]
