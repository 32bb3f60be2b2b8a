from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BadField, BadRequest, GatewayError, ProviderError
from llmproxy_gemini.errors import describe, error_chunk, error_reply


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (418, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (599, "INTERNAL"),
    ],
)
def test_a_status_has_googles_word(status: int, word: str) -> None:
    told = describe(GatewayError(status, "some_code", "Some sentence."))

    assert (told["code"], told["message"], told["status"]) == (status, "Some sentence.", word)
    assert told["details"][0]["reason"] == "SOME_CODE"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("quota", "RESOURCE_EXHAUSTED"),
        ("overloaded", "UNAVAILABLE"),
        ("timeout", "DEADLINE_EXCEEDED"),
        ("server", "INTERNAL"),
        ("authentication", "UNAUTHENTICATED"),
    ],
)
def test_a_providers_error_is_worded_by_its_kind(kind: str, word: str) -> None:
    assert describe(ProviderError(529, "x", "X.", kind=kind))["status"] == word


def test_a_provider_whose_code_is_the_status_gave_no_reason() -> None:
    told = describe(ProviderError(404, "404", "X.", kind="not_found"))

    assert told["details"][0]["reason"] == "NOT_FOUND"


def test_the_wait_stands_in_a_header_and_in_the_details() -> None:
    reply = error_reply(GatewayError(429, "slow_down", "Wait.", retry_after=1.5))

    assert reply.headers.get("retry-after") == "2"
    (detail,) = [d for d in orjson.loads(reply.body)["error"]["details"] if "retryDelay" in d]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}


def test_a_field_is_named_as_a_violation() -> None:
    told = describe(BadField("invalid_type", "Wrong.", "contents[].role"))

    assert told["details"][1]["fieldViolations"] == [{"field": "contents[].role", "description": "Wrong."}]


def test_headers_of_the_error_go_along() -> None:
    error = GatewayError(401, "x", "X.", headers=[("x-should-retry", "false")])

    reply = error_reply(error)

    assert reply.headers.get("www-authenticate") == "Bearer"
    assert reply.headers.get("x-should-retry") == "false"


def test_a_chunk_holds_the_same_object() -> None:
    error = BadRequest("x", "X.")

    assert orjson.loads(error_chunk(error)) == {"error": describe(error)}
