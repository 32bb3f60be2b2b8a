"""What batches, their results, answers in the background and sessions tell of use."""

from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BATCH, TOLD, Belated, Headers, LinesTap, ObjectTap, Reply, Spent, Usage, WholeTap
from llmproxy_openai.faces import OpenAIUpstream
from llmproxy_openai.late import read_batch, read_line, read_message, read_response
from llmproxy_openai.taps import StreamTap

upstream = OpenAIUpstream()
USED = {
    "input_tokens": 36,
    "output_tokens": 224,
    "total_tokens": 260,
    "output_tokens_details": {"reasoning_tokens": 128},
}
USAGE = Usage(36, output=96, reasoning=128)
BATCH_OBJECT = {
    "id": "batch_1",
    "object": "batch",
    "status": "completed",
    "model": "gpt",
    "usage": USED,
    "output_file_id": "file-1",
}


def told(exchange, body, kind="application/json", status=200):
    tap = upstream.tap(exchange, Reply(status, Headers.of({"Content-Type": kind})))
    if tap is not None:
        tap.feed(body if isinstance(body, bytes) else orjson.dumps(body))
        tap.end()
    return tap


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("/v1/batches/batch_1", ObjectTap),
        ("/openai/batches/batch_1", ObjectTap),
        ("/v1/batch/jobs/batch_1", ObjectTap),
        ("/v1/files/file-1/content", LinesTap),
        ("/v1/files//file-1/%63ontent/", LinesTap),
        ("/v1/%62atches/batch_1", ObjectTap),
        ("/v1/responses/resp_1", ObjectTap),
        ("/v1/responses/resp_1/input_items", type(None)),
        ("/v1/batches", type(None)),
        ("/v1/files/file-1", type(None)),
        ("/v1/models", type(None)),
    ],
)
def test_answers_to_some_calls_that_fetch_are_read(exchange_for, path, of):
    tap = upstream.tap(
        exchange_for(path, method="GET"), Reply(200, Headers.of({"Content-Type": "application/json"}))
    )

    assert type(tap) is of


def test_a_batch_tells_what_it_used_by_the_name_of_its_results(exchange_for):
    exchange = exchange_for("/v1/batches/batch_1", method="GET")

    assert told(exchange, BATCH_OBJECT).usage is None
    assert exchange.state[TOLD] == Belated("file-1", (Spent("gpt", USAGE),), BATCH)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"status": "in_progress"}, Usage()),
        ({"usage": None}, Usage()),
        ({"usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}}, Usage()),
        ({"object": "list"}, None),
        ({"object": None, "batch_id": "batch_1"}, Usage()),
        (
            {"output_file_id": None, "status": "expired", "model": None},
            Belated("batch_1", (Spent("", USAGE),), BATCH),
        ),
    ],
)
def test_a_batch_tells_at_its_end(changes, found):
    assert read_batch({**BATCH_OBJECT, **changes}) == found


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/batches/batch_1/cancel", "/v1/batch/jobs"])
def test_to_begin_or_end_a_batch_uses_nothing(exchange_for, path):
    exchange = exchange_for(path, {"input_file_id": "file-0"})

    tap = told(exchange, {**BATCH_OBJECT, "status": "validating"})

    assert tap.usage == Usage()
    assert TOLD not in exchange.state


RESULTS = [
    {
        "id": "r1",
        "custom_id": "1",
        "response": {"status_code": 200, "body": {"model": "gpt", "usage": USED}},
        "error": None,
    },
    {"id": "r2", "custom_id": "2", "response": {"status_code": 200, "body": {"model": "gpt", "usage": USED}}},
    {"id": "r3", "custom_id": "3", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
    {"id": "r4", "custom_id": "4", "response": None, "error": {"code": "batch_expired"}},
]


def test_a_file_of_results_tells_it_too(exchange_for):
    exchange = exchange_for("/v1/files/file-1/content", method="GET")

    told(exchange, b"\n".join(map(orjson.dumps, RESULTS)), "application/octet-stream")

    assert exchange.state[TOLD] == Belated(
        "file-1", (Spent("gpt", Usage(72, output=192, reasoning=256)),), BATCH
    )


@pytest.mark.parametrize(
    "line", [b'{"messages":[]}', b"%PDF-1.7", b"[]", b'{"custom_id":1}', b'{"custom_id":"\xff"}']
)
def test_other_files_are_none_of_results(line):
    with pytest.raises(ValueError):  # noqa: PT011  # any is taken for that
        read_line(line)


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "background": True,
    "model": "gpt",
    "usage": USED,
}


def test_an_answer_in_the_background_tells_when_it_is_fetched(exchange_for):
    exchange = exchange_for("/v1/responses/resp_1", method="GET")

    told(exchange, RESPONSE)

    assert exchange.state[TOLD] == Belated("resp_1", (Spent("gpt", USAGE),))


@pytest.mark.parametrize(
    ("changes", "begun", "found"),
    [
        ({"background": False}, False, None),
        ({"background": False}, True, USAGE),
        ({"status": "queued", "usage": None}, True, Usage()),
        ({"status": "in_progress", "usage": None}, False, Usage()),
        ({"status": "failed", "usage": None}, False, Usage()),
    ],
)
def test_other_answers_told_it_when_they_were_made(changes, begun, found):
    assert read_response({**RESPONSE, **changes}, begun=begun) == found


def test_asking_in_the_background_uses_nothing_yet(exchange_for):
    exchange = exchange_for("/v1/responses", {"model": "gpt", "background": True})

    tap = told(exchange, {**RESPONSE, "status": "queued", "usage": None})

    assert tap.usage == Usage()


def test_other_answers_are_read_as_ever(exchange_for):
    exchange = exchange_for("/v1/responses", {"model": "gpt"})

    assert type(told(exchange, RESPONSE)) is WholeTap
    assert type(told(exchange, b"", "text/event-stream")) is StreamTap


def test_a_stream_of_what_may_be_fetched_again_counts_once(exchange_for):
    exchange = exchange_for("/v1/responses", {"model": "gpt", "background": True, "stream": True})
    events = [
        {"type": "response.created", "response": {**RESPONSE, "status": "queued", "usage": None}},
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": "response.completed", "response": RESPONSE},
    ]
    body = b"".join(
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in events
    )

    tap = told(exchange, body, "text/event-stream")

    assert (tap.usage, tap.terminal) == (USAGE, True)
    assert exchange.state[TOLD] == Belated("resp_1", ())


SPOKEN = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def test_a_session_tells_what_each_of_its_answers_used(exchange_for):
    exchange = exchange_for("/v1/realtime?model=gpt-realtime", method="GET")
    exchange.upgraded = True
    tap = upstream.tap(exchange, Reply(101))
    heard = {
        "type": "conversation.item.input_audio_transcription.completed",
        "usage": {
            "type": "tokens",
            "total_tokens": 22,
            "input_tokens": 13,
            "input_token_details": {"audio_tokens": 13},
            "output_tokens": 9,
        },
    }
    for message in (
        {"type": "session.created"},
        {"type": "response.done", "response": {"usage": SPOKEN}},
        heard,
        {"type": "response.done", "response": {"usage": None}},
        {"type": "response.done", "response": {"usage": SPOKEN}},
    ):
        tap.feed(orjson.dumps(message))
    tap.end()

    assert tap.usage.total == 2 * 253 + 22
    assert (tap.usage.input, tap.usage.cache_read, tap.usage.output) == (2 * 68 + 13, 128, 2 * 121 + 9)
    assert tap.usage.parts.output_audio == 182
    assert tap.usage.parts.input_audio == 39


def test_what_is_said_in_a_session_is_no_usage():
    assert read_message({"type": "conversation.item.created", "usage": USED}) is None
    assert read_message({"type": "response.completed", "response": {"usage": USED}}) == Spent("", USAGE)


def test_a_session_of_responses_tells_its_models(exchange_for):
    exchange = exchange_for("/v1/responses", method="GET")
    exchange.upgraded = True
    tap = upstream.tap(exchange, Reply(101))
    for model in ("gpt", "other", "gpt"):
        tap.feed(orjson.dumps({"type": "response.completed", "response": {"model": model, "usage": USED}}))
    tap.fail(ConnectionAbortedError())

    (gpt, other) = exchange.state[TOLD].spent
    assert tap.usage == Usage()
    assert (gpt.model, gpt.usage.total, other) == ("gpt", 520, Spent("other", USAGE))


def test_a_session_that_is_refused_has_none(exchange_for):
    exchange = exchange_for("/v1/realtime", method="GET")
    exchange.upgraded = True

    assert upstream.tap(exchange, Reply(403)) is None
