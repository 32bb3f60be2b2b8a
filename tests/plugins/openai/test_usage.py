from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Parts, Usage
from llmproxy_openai.usage import USAGE, read_usage


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}, Usage(9, 0, 0, 5, 0), id="plain"
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(30, 60, 10, 30, 20),
            id="details",
        ),
        pytest.param(
            {
                "input_tokens": 7,
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 11,
            },
            Usage(5, 2, 0, 3, 1),
            id="responses",
        ),
        pytest.param({"prompt_tokens": 8, "total_tokens": 8}, Usage(8), id="embeddings"),
        pytest.param({"total_tokens": 3}, Usage(3), id="total alone"),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
            Usage(5, 4, 0, 1),
            id="deepseek",
        ),
        pytest.param(
            {
                "prompt_tokens": 468,
                "completion_tokens": 82,
                "total_tokens": 870,
                "prompt_tokens_details": {"cached_tokens": 305},
                "completion_tokens_details": {"reasoning_tokens": 320},
            },
            Usage(163, 305, 0, 82, 320),
            id="reasoning beside completion tokens",
        ),
        pytest.param(
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            Usage(35, 0, 0, 12, 62),
            id="reasoning in the total only",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 107, "cached_tokens": 100},
            Usage(5, 100, 0, 2),
            id="cached tokens beside prompt tokens",
        ),
        pytest.param(
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 17,
                "cached_tokens": 7,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(5, 7, 0, 2, 3),
            id="both beside",
        ),
        pytest.param({"type": "duration", "seconds": 3}, Usage(units=3000), id="a recording's length"),
        pytest.param(
            {
                "prompt_audio_seconds": 203,
                "prompt_tokens": 4,
                "total_tokens": 3264,
                "completion_tokens": 635,
            },
            Usage(2629, 0, 0, 635, 0, 203_000, Parts(input_audio=2625)),
            id="a recording's length and tokens, Mistral's",
        ),
        pytest.param(
            {
                "input_tokens": 50,
                "output_tokens": 4160,
                "total_tokens": 4210,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens_details": {"image_tokens": 4150, "text_tokens": 10},
            },
            Usage(50, 0, 0, 4160, parts=Parts(input_image=40, output_image=4150)),
            id="pictures",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 60,
                "total_tokens": 160,
                "input_token_details": {
                    "audio_tokens": 80,
                    "cached_tokens": 30,
                    "cached_tokens_details": {"audio_tokens": 25, "text_tokens": 5},
                },
                "output_token_details": {"audio_tokens": 50, "text_tokens": 10},
            },
            Usage(70, 30, 0, 60, parts=Parts(input_audio=55, cached_audio=25, output_audio=50)),
            id="a conversation in sound",
        ),
        pytest.param({"cost_in_usd_ticks": 200000000}, None, id="money alone"),
        pytest.param(
            {"prompt_tokens": True, "completion_tokens": "5", "total_tokens": -1}, None, id="no counts"
        ),
    ],
)
def test_counts_are_sorted_into_disjoint_buckets(told: dict[str, Any], expected: Usage | None) -> None:
    assert read_usage(told) == expected


counts = st.none() | st.integers(0, 500)


@given(counts, counts, counts, st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_buckets_are_never_negative_and_sum_to_what_was_told(
    into: int | None, out: int | None, total: int | None, cached: int, written: int, reasoning: int
) -> None:
    told = {
        "prompt_tokens": into,
        "completion_tokens": out,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }

    usage = read_usage(told)

    if usage is None:
        assert into is out is total is None
    else:
        assert min(usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning) >= 0
        assert usage.total == max(total or 0, (into or 0) + (out or 0))


def test_a_bodys_own_usage_is_read_and_no_other() -> None:
    body = (
        b'{"tools":[{"usage":{"total_tokens":99}}],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":{}}'
    )

    assert USAGE.of_body(body) == Usage(1, 0, 0, 2)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"usage":null}', b'{"usage":7}', b'{"usage":{}}', b"[" * 5000]
)
def test_a_body_without_usage_tells_none(body: bytes) -> None:
    assert USAGE.of_body(body) is None


def test_the_last_usage_of_a_cut_text_is_found() -> None:
    first, second = (
        b'oken","usage":{"total_tokens":1}}',
        b'{"usage": {"total_tokens":2,"d":{"e":{}}}, "usage":null}',
    )
    data = first + b"\n\ndata: " + second + b'\n\n{"usage":{'

    assert USAGE.last(data) == Usage(2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'"usage"',
        b'"usage":{',
        b'"usage":{"properties":{"total_tokens":{"type":"integer"}}}',
        b'{"text":"\\"usage\\":{\\"total_tokens\\":5}"}',
        b'"usage":{x}',
        b'"usage":{"a":"' + b"x" * 20_000 + b'"}',
    ],
)
def test_what_only_looks_like_usage_is_none(data: bytes) -> None:
    assert USAGE.last(data) is None


@pytest.mark.shared
def test_every_recorded_total_is_the_sum_of_the_buckets(recordings: list[dict[str, Any]]) -> None:
    bodies = [r["response"].get("body") for r in recordings]
    told = [b["usage"] for b in bodies if isinstance(b, dict) and isinstance(b.get("usage"), dict)]
    totals = [t["total_tokens"] for t in told if t.get("total_tokens") is not None]
    usages = [USAGE.of_body(orjson.dumps({"usage": t})) for t in told if t.get("total_tokens") is not None]

    assert len(totals) > 500
    assert [usage.total if usage else None for usage in usages] == totals
