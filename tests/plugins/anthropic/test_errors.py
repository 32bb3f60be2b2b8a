import orjson
import pytest

from llmproxy.plugin import BadField, BadRequest, GatewayError, ProviderError, UpstreamTimeout
from llmproxy_anthropic.errors import error_event, error_reply, type_of


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_status_has_anthropics_word(status, expected):
    assert type_of(GatewayError(status, "x", "X.")) == expected


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("invalid_request", 422, (422, "invalid_request_error")),
        ("quota", 429, (429, "billing_error")),
        ("overloaded", 503, (529, "overloaded_error")),
        ("overloaded", 529, (529, "overloaded_error")),
        ("server", 500, (500, "api_error")),
        ("timeout", 504, (504, "timeout_error")),
    ],
)
def test_a_providers_error_keeps_its_kind(kind, status, expected):
    reply = error_reply(ProviderError(status, "x", "X.", kind=kind))

    assert (reply.status, orjson.loads(reply.body)["error"]["type"]) == expected


def test_a_word_of_anthropics_own_is_kept():
    error = ProviderError(409, "x", "X.", kind="invalid_request", type="memory_path_conflict_error")

    assert type_of(error) == "memory_path_conflict_error"


def test_an_error_has_anthropics_shape():
    told = orjson.loads(error_reply(BadField("invalid_type", "model: no.", "model")).body)

    assert told == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "model: no."},
        "request_id": None,
    }


def test_the_providers_own_headers_come_back():
    headers = [("request-id", "req_1"), ("x-should-retry", "false"), ("retry-after", "9")]
    reply = error_reply(ProviderError(429, "x", "X.", kind="rate_limit", headers=headers))

    assert [reply.headers.get(name) for name, _ in headers] == ["req_1", "false", "9"]
    assert orjson.loads(reply.body)["request_id"] == "req_1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadRequest("x", "X."), "false"),
        (GatewayError(401, "x", "X."), "false"),
        (GatewayError(429, "x", "X.", retry_after=2), "true"),
        (GatewayError(503, "x", "X."), "true"),
        (GatewayError(408, "x", "X."), None),
        (GatewayError(500, "x", "X."), None),
        (UpstreamTimeout("headers", 3, sent=True), None),
        (ProviderError(400, "x", "X.", kind="invalid_request"), None),
    ],
    ids=str,
)
def test_the_gateway_says_whether_its_own_refusal_is_worth_another_try(error, expected):
    assert error_reply(error).headers.get("x-should-retry") == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.2, ("1", "200")), (3, ("3", "3000")), (2.5, ("3", "2500"))]
)
def test_when_to_come_back_is_told_in_both_units(seconds, expected):
    reply = error_reply(GatewayError(429, "x", "X.", retry_after=seconds))

    assert (reply.headers.get("retry-after"), reply.headers.get("retry-after-ms")) == expected


def test_an_error_in_a_stream_is_an_event():
    event = error_event(GatewayError(502, "x", "X."))

    assert event.startswith(b"event: error\ndata: {")
    assert orjson.loads(event.partition(b"data: ")[2])["error"]["type"] == "api_error"
