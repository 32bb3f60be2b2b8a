"""What batches, their results and sessions tell of use."""

from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BATCH, TOLD, Belated, Headers, Reply, Spent, Usage
from llmproxy_gemini.late import read_batch, read_line, read_message
from llmproxy_gemini.upstream import GeminiUpstream

upstream = GeminiUpstream()
USED = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 17}
ANSWER = {"candidates": [], "usageMetadata": USED, "modelVersion": "gemini-2.5-flash"}
USAGE = Usage(10, output=4, reasoning=3)
METADATA = {"model": "models/gemini-2.5-flash", "name": "batches/b", "state": "BATCH_STATE_SUCCEEDED"}


def told(exchange, body, kind="application/json; charset=UTF-8"):
    tap = upstream.tap(exchange, Reply(200, Headers.of({"Content-Type": kind})))
    if tap is not None:
        tap.feed(body if isinstance(body, bytes) else orjson.dumps(body))
        tap.end()
    return tap


def test_a_batch_may_hold_its_results(exchange_for):
    exchange = exchange_for("/v1beta/batches/b", method="GET")
    inlined = [
        {"response": ANSWER},
        {"error": {"code": 3}},
        {"response": {"usageMetadata": USED}, "metadata": {"key": "2"}},
    ]

    told(
        exchange,
        {
            "name": "batches/b",
            "metadata": METADATA,
            "done": True,
            "response": {"inlinedResponses": {"inlinedResponses": inlined}},
        },
    )

    assert exchange.state[TOLD] == Belated(
        "batches/b", (Spent("gemini-2.5-flash", Usage(20, output=8, reasoning=6)),), BATCH
    )


@pytest.mark.parametrize(
    "more", [{}, {"response": {"responsesFile": "files/batch-b"}}, {"response": {"inlinedResponses": {}}}]
)
def test_others_are_running_or_have_a_file(more):
    assert read_batch({"name": "batches/b", "metadata": METADATA, **more}) is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/files/batch-b:download",
        "/download/v1beta/files/batch-b:download",
        "/v1beta//files/batch-b%3Adownload",
    ],
)
def test_a_file_of_results_tells_it_line_by_line(exchange_for, path):
    exchange = exchange_for(f"{path}?alt=media", method="GET")
    lines = [
        {"key": "1", "response": ANSWER},
        {"key": "2", "error": {"code": 3}},
        {"key": "3", "response": ANSWER},
    ]

    told(exchange, b"\n".join(map(orjson.dumps, lines)), "application/octet-stream")

    assert exchange.state[TOLD] == Belated(
        "files/batch-b", (Spent("gemini-2.5-flash", Usage(20, output=8, reasoning=6)),), BATCH
    )


@pytest.mark.parametrize("verb", ["batchGenerateContent", "asyncBatchEmbedContent"])
def test_to_begin_a_batch_uses_nothing(exchange_for, verb):
    exchange = exchange_for(f"/v1beta/models/gemini-2.5-flash:{verb}", {"batch": {}})

    tap = told(exchange, {"name": "batches/b", "metadata": METADATA})

    assert exchange.model == "gemini-2.5-flash"
    assert tap.usage == Usage()


def test_nothing_else_that_is_fetched_is_read(exchange_for):
    assert told(exchange_for("/v1beta/files/f", method="GET"), b"{}") is None
    assert told(exchange_for("/v1beta/batches", method="GET"), b"{}") is None


@pytest.mark.parametrize("line", [b"{}", b"x", b'{"response":{}}'])
def test_other_lines_are_none_of_results(line):
    with pytest.raises(ValueError):  # noqa: PT011  # any is taken for that
        read_line(line)


def test_each_turn_of_a_session_counts(exchange_for):
    exchange = exchange_for(
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", method="GET"
    )
    exchange.upgraded = True
    tap = upstream.tap(exchange, Reply(101))
    turn = {
        "serverContent": {"turnComplete": True},
        "usageMetadata": {"promptTokenCount": 10, "responseTokenCount": 7, "totalTokenCount": 17},
    }
    for message in ({"setupComplete": {}}, turn, {"serverContent": {"modelTurn": {}}}, turn):
        tap.feed(orjson.dumps(message))
    tap.end()

    assert tap.usage == Usage(20, output=14)
    assert read_message({"setupComplete": {}}) is None
    assert upstream.tap(exchange, Reply(403)) is None
