from __future__ import annotations

import orjson

from llmproxy.plugin import BadField, GatewayError
from llmproxy_cohere.errors import error_event, error_line, error_reply


def test_an_error_is_a_message_and_the_gateways_word() -> None:
    reply = error_reply(BadField("invalid_type", "'p' must be a number.", "p"))

    assert reply.status == 400
    assert isinstance(reply.body, bytes)
    assert orjson.loads(reply.body) == {
        "message": "'p' must be a number.",
        "code": "invalid_type",
        "param": "p",
    }


def test_who_must_wait_is_told_how_long() -> None:
    reply = error_reply(GatewayError(429, "rate_limit", "Slow down.", retry_after=2.5))

    assert reply.headers.get("retry-after") == "3"
    assert error_reply(GatewayError(401, "no_key", "Who?")).headers.get("www-authenticate") == "Bearer"


def test_a_stream_ends_with_an_error_in_its_last_event() -> None:
    told = error_event(GatewayError(502, "upstream_cut", "It broke off."))

    assert told.startswith(b"event: message-end\ndata: ")
    assert orjson.loads(told.partition(b"data: ")[2]) == {
        "type": "message-end",
        "delta": {"error": "It broke off.", "code": "upstream_cut", "finish_reason": "ERROR"},
    }


def test_a_stream_of_lines_ends_with_a_line() -> None:
    line = orjson.loads(error_line(GatewayError(502, "upstream_cut", "It broke off.")))

    assert (line["is_finished"], line["event_type"], line["finish_reason"]) == (True, "stream-end", "ERROR")
    assert line["response"]["message"] == "It broke off."
