from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.gemini.conftest import made_exchange

from llmproxy.plugin import BadField, Endpoint, Headers, Parts, Reply, Usage, WholeTap
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.interactions import InteractionTap, interaction_tap, read_interaction_usage
from llmproxy_gemini.passing import encode

PATH = "/v1beta/interactions"
STREAM = b"".join(
    b"event: %b\ndata: %b\n\n" % (event["event_type"].encode(), orjson.dumps(event))
    for event in (
        {"interaction": {"status": "in_progress"}, "event_type": "interaction.created"},
        {
            "index": 0,
            "delta": {"text": 'Hi "event_type":"error"', "type": "text"},
            "event_type": "step.delta",
        },
        {
            "interaction": {
                "usage": {"total_tokens": 58, "total_input_tokens": 7, "total_output_tokens": 51}
            },
            "event_type": "interaction.completed",
        },
    )
)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({}, None),
        ({"total_tokens": 9, "total_input_tokens": 4}, Usage(4, 0, 0, 5)),
        (
            {
                "total_tokens": 326,
                "total_input_tokens": 266,
                "input_tokens_by_modality": [
                    {"modality": "text", "tokens": 8},
                    {"modality": "image", "tokens": 258},
                ],
                "total_cached_tokens": 100,
                "total_output_tokens": 3,
                "total_tool_use_tokens": 0,
                "total_thought_tokens": 57,
            },
            Usage(166, 100, 0, 3, 57, parts=Parts(input_image=166)),
        ),
    ],
)
def test_counts_are_sorted_into_disjoint_buckets(told: dict[str, Any], usage: Usage | None) -> None:
    assert read_interaction_usage(told) == usage


def test_a_stream_tells_its_usage_and_its_end_however_it_is_cut() -> None:
    def read(pieces: list[bytes]) -> Any:
        tap = InteractionTap()
        for piece in pieces:
            tap.feed(piece)
        tap.end()
        return tap.usage, tap.first_output, tap.terminal, tap.failed, tap.cut

    assert read([STREAM]) == (Usage(7, 0, 0, 51), True, True, False, False)
    for at in range(len(STREAM)):
        assert read([STREAM[:at], STREAM[at:]]) == read([STREAM])
    assert read([STREAM[:-25]])[3:] == (False, True)


def test_an_error_ends_it_badly() -> None:
    tap = InteractionTap()
    tap.feed(b'event: error\ndata: {"error":{"message":"?"},"event_type":"error"}\n\n')
    tap.fail(OSError())

    assert (tap.failed, tap.terminal, tap.usage) == (True, True, None)


def test_an_answer_is_read_by_what_it_is() -> None:
    replies = {
        kind: interaction_tap(Reply(200, Headers.of({"Content-Type": kind})))
        for kind in ("text/event-stream", "application/json", "text/html")
    }

    assert [type(tap) for tap in replies.values()] == [InteractionTap, WholeTap, type(None)]


def test_the_body_names_the_model_which_may_be_another_upstream() -> None:
    exchange = made_exchange(PATH, {"model": "models/gemini-2.5-flash", "input": "Hi", "stream": True})

    assert (exchange.model, exchange.streamed) == ("gemini-2.5-flash", True)
    wire = encode(exchange, Endpoint("google", "gemini-3"), b'{"model":"gemini-2.5-flash","input":"Hi"}')
    assert (wire.target, wire.body) == ("/interactions", b'{"model":"gemini-3","input":"Hi"}')


def test_an_agent_is_not_asked_under_the_name_of_a_model() -> None:
    with pytest.raises(BadField, match="agent"):
        made_exchange(PATH, {"model": "cheap", "agent": "deep-research", "input": "x"})

    assert made_exchange(PATH, {"model": "m", "agent": None, "input": "x"}).model == "m"


def test_what_is_broken_is_refused() -> None:
    with pytest.raises(BadField):
        made_exchange(PATH, {"model": 7})


def test_an_error_in_a_stream_is_an_event() -> None:
    exchange = made_exchange(PATH, {"model": "m", "stream": True})
    told = GeminiClient().stream_error(exchange, BadField("x", "broken"))

    assert told.startswith(b"event: error\ndata: {")
    assert orjson.loads(told.split(b"data: ")[1])["event_type"] == "error"
