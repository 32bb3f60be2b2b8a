import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.plugin import Headers, Usage, WholeTap
from llmproxy_bedrock.taps import StreamTap
from llmproxy_bedrock.usage import (
    USAGE,
    InvokedUsage,
    read_usage,
    usage_of_answer,
    usage_of_head,
    write_usage,
)

from .conftest import streamed


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, Usage(3, 0, 0, 2)),
        (
            {"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 4},
            Usage(3, 10, 4, 2),
        ),
        ({"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokenCount": 9}, Usage(3, 9, 0, 2)),
        ({"inputTokens": 3}, Usage(3)),
        ({}, None),
        ({"inputTokens": "3", "outputTokens": None}, None),
    ],
)
def test_counts_are_sorted_into_buckets(told, expected):
    assert read_usage(told) == expected


def test_what_is_written_is_read_again_with_its_sum():
    usage = Usage(3, 10, 4, 2, 1)
    told = write_usage(usage)

    assert told["totalTokens"] == usage.total == 20
    assert read_usage(told) == Usage(3, 10, 4, 3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"usage": {"input_tokens": 5, "output_tokens": 6, "cache_read_input_tokens": 2}}, Usage(5, 2, 0, 6)),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}, Usage(5, 0, 0, 6)),
        ({"prompt_token_count": 8, "generation_token_count": 35}, Usage(8, 0, 0, 35)),
        ({"inputTextTokenCount": 5.0, "totalOutputTextTokenCount": 10.0}, Usage(5, 0, 0, 10)),
        ({"inputTextTokenCount": 5, "results": [{"tokenCount": 7, "outputText": "x"}]}, Usage(5, 0, 0, 7)),
        (
            {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1, "outputTokenCount": 2}, "usage": {}},
            Usage(1, 0, 0, 2),
        ),
        ({"outputs": [{"text": "x"}]}, None),
        ([], None),
    ],
)
def test_models_tell_it_in_words_of_their_own(answer, expected):
    assert usage_of_answer(answer) == expected


def test_the_head_counts_before_the_answer():
    head = Headers.of(
        {
            "X-Amzn-Bedrock-Input-Token-Count": "4",
            "X-Amzn-Bedrock-Output-Token-Count": "50",
            "X-Amzn-Bedrock-Cache-Write-Input-Token-Count": "18131",
            "X-Amzn-Bedrock-Cache-Read-Input-Token-Count": "0",
        }
    )
    tap = WholeTap(InvokedUsage(head))
    tap.feed(b'{"usage":{"input_tokens":9,"output_tokens":9}}')
    tap.end()

    assert tap.usage == usage_of_head(head) == Usage(4, 0, 18131, 50)
    assert InvokedUsage(Headers()).last(b'... "usage":{"input_tokens":9,"output_tokens":9}}') == Usage(
        9, 0, 0, 9
    )
    assert usage_of_head(Headers.of({"X-Amzn-Bedrock-Input-Token-Count": "many"})) is None


def expected_of(judge, record):
    return judge.parse_response(record["dialect"], record["response"]).usage


@pytest.mark.shared
def test_golden_every_recorded_answer_of_converse(recordings, judge):
    seen = 0
    for record, body in whole(recordings, "bedrock.converse"):
        usage, truth = USAGE.of_body(body), expected_of(judge, record)
        told = orjson.loads(body)["usage"]
        seen += 1

        assert usage is not None
        assert usage.total == told["totalTokens"], record["id"]
        assert (usage.input + usage.cache_read + usage.cache_write, usage.output) == (
            truth["input"],
            truth["output"],
        )

    assert seen > 100


@pytest.mark.shared
def test_golden_every_recorded_stream_of_converse(recordings, judge):
    seen = 0
    for record, data in streamed(recordings, "bedrock.converse_stream"):
        tap, truth = StreamTap(), expected_of(judge, record)
        tap.feed(data)
        tap.end()
        seen += 1

        assert tap.usage is not None
        assert (tap.usage.total - tap.usage.output, tap.usage.output) == (truth["input"], truth["output"])

    assert seen > 30


@pytest.mark.shared
def test_golden_every_recorded_native_answer(recordings):
    found = {}
    for record, body in whole(recordings, "bedrock.invoke"):
        tap = WholeTap(InvokedUsage(Headers.of(record["response"]["headers"])))
        tap.feed(body)
        tap.end()
        found[record["id"]] = tap.usage
    assert len(found) > 10
    # Mistral's native answers tell nothing, and one was recorded without its head.
    assert all(found.values())


@pytest.mark.shared
def test_golden_every_recorded_native_stream(recordings):
    seen = 0
    for record, data in streamed(recordings, "bedrock.invoke_stream"):
        tap = StreamTap()
        tap.feed(data)
        tap.end()
        seen += 1

        assert tap.usage is not None, record["id"]
        assert tap.usage.output > 0
        assert tap.terminal
        assert not tap.cut

    assert seen > 10
