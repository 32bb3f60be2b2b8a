from __future__ import annotations

import orjson

from llmproxy.plugin import GatewayError
from llmproxy_ollama.errors import error_line, error_reply


def test_an_error_is_one_text():
    reply = error_reply(GatewayError(429, "slow", "Slow down.", retry_after=3))

    assert (reply.status, orjson.loads(reply.body)) == (429, {"error": "Slow down."})
    assert reply.headers.get("retry-after") == "3"


def test_who_has_no_key_is_told_which_kind():
    assert (
        error_reply(GatewayError(401, "no_key", "Who are you?")).headers.get("www-authenticate") == "Bearer"
    )


def test_in_a_stream_it_is_a_line():
    assert error_line(GatewayError(502, "cut", "Broke\noff.")) == b'{"error":"Broke\\noff."}\n'
