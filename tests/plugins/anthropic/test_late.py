"""What batches tell of use."""

from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BATCH, TOLD, Belated, Headers, Reply, Spent, Usage
from llmproxy_anthropic.faces import AnthropicUpstream
from llmproxy_anthropic.late import read_line

upstream = AnthropicUpstream()
USED = {
    "input_tokens": 10,
    "output_tokens": 4,
    "cache_read_input_tokens": 2,
    "cache_creation_input_tokens": 1,
}
MESSAGE = {"type": "message", "id": "msg_1", "model": "claude-haiku-4-5", "usage": USED}
LINES = [
    {"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "1", "result": {"type": "succeeded", "message": {**MESSAGE, "model": "claude-opus-4-5"}}},
    {"custom_id": "2", "result": {"type": "errored", "error": {"type": "invalid_request_error"}}},
    {"custom_id": "3", "result": {"type": "expired"}},
    {"custom_id": "4", "result": {"type": "succeeded", "message": MESSAGE}},
]


def told(exchange, body, kind="application/json"):
    tap = upstream.tap(exchange, Reply(200, Headers.of({"Content-Type": kind})))
    if tap is not None:
        tap.feed(body)
        tap.end()
    return tap


@pytest.mark.parametrize(
    "path", ["/v1/messages/batches/msgbatch_1/results", "/v1/messages/batches//msgbatch_1/%72esults"]
)
def test_results_tell_what_each_model_used(exchange_for, path):
    exchange = exchange_for(path, method="GET")

    told(exchange, b"".join(orjson.dumps(line) + b"\n" for line in LINES), "application/x-jsonl")

    assert exchange.state[TOLD] == Belated(
        "msgbatch_1",
        (Spent("claude-haiku-4-5", Usage(20, 4, 2, 8)), Spent("claude-opus-4-5", Usage(10, 2, 1, 4))),
        BATCH,
    )


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/messages/batches/msgbatch_1/cancel"])
def test_to_begin_or_end_a_batch_uses_nothing(exchange_for, path):
    exchange = exchange_for(path, {"requests": []})

    tap = told(exchange, b'{"type":"message_batch","id":"msgbatch_1"}')

    assert tap.usage == Usage()
    assert TOLD not in exchange.state


@pytest.mark.parametrize(
    "path", ["/v1/messages/batches/msgbatch_1", "/v1/messages/batches", "/v1/files/f/content"]
)
def test_nothing_else_that_is_fetched_is_read(exchange_for, path):
    assert told(exchange_for(path, method="GET"), b"{}") is None


@pytest.mark.parametrize("line", [b"{}", b'{"custom_id":"0"}', b"x"])
def test_other_lines_are_none_of_results(line):
    with pytest.raises(ValueError):  # noqa: PT011  # any is taken for that
        read_line(line)
