from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import BadRequest, GatewayError, ProviderError, UpstreamError
from llmproxy.messages import Headers
from llmproxy.refusals import STATUS_OF_KIND, error_of, read_error, retry_fields, told_headers

from .recorded import needs_recordings, records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "type",
                    "code",
                    "status",
                    "details",
                    "detail",
                    "errors",
                    "retryDelay",
                    "param",
                    "reason",
                    "msg",
                    "status_code",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)

SHAPES = {
    "openai": {"error": {"message": "M", "type": "invalid_request_error", "param": "seed", "code": None}},
    "anthropic": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "M"},
        "request_id": "r",
    },
    "gemini": {"error": {"code": 400, "message": "M", "status": "INVALID_ARGUMENT", "details": []}},
    "gemini in a list": [{"error": {"code": 400, "message": "M", "status": "INVALID_ARGUMENT"}}],
    "mistral": {"detail": "M"},
    "mistral by fields": {
        "object": "error",
        "message": {"detail": "M"},
        "type": "invalid_request_message_order",
    },
    "cohere": {"message": "M"},
    "aws": {"__type": "ValidationException", "Message": "M"},
    "error_msg": {"error_code": 17, "error_msg": "M"},
    "xai": {"code": "Client specified an invalid argument", "error": "M"},
    "replicate": {"title": "Input", "detail": "M", "status": 422},
    "huggingface": {"errors": ["M"]},
    "text": "M",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_known_shape_gives_its_message_and_kind(shape):
    error = read_error(400, orjson.dumps(SHAPES[shape]))

    assert error.message in {"M", '["M"]'}
    assert (error.status, error.kind) == (400, "invalid_request")
    assert error.code


def test_the_providers_own_words_are_kept():
    error = error_of(SHAPES["openai"], 400)

    assert (error.type, error.param) == ("invalid_request_error", "seed")


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, {}, "invalid_request"),
        (401, {"type": "invalid_request_error"}, "authentication"),
        (403, {}, "permission"),
        (404, {"type": "invalid_request_error", "code": "model_not_found"}, "not_found"),
        (408, {}, "timeout"),
        (413, {}, "too_large"),
        (418, {}, "invalid_request"),
        (429, {"code": "insufficient_quota"}, "quota"),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limit"),
        (500, {"type": "overloaded_error"}, "overloaded"),
        (500, {}, "server"),
        (502, {}, "server"),
        (503, {}, "overloaded"),
        (529, {}, "overloaded"),
    ],
)
def test_a_kind_is_told_by_the_status_and_the_words(status, told, kind):
    assert error_of({"error": {"message": "M", **told}}, status).kind == kind


@pytest.mark.parametrize(
    ("told", "status", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "M"}}, 503, "overloaded"),
        ({"error": {"code": 429, "message": "M", "status": "RESOURCE_EXHAUSTED"}}, 429, "rate_limit"),
        ({"error": {"code": "502", "message": "M"}}, 502, "server"),
        ({"error": {"type": "invalid_request_error", "message": "M"}}, 400, "invalid_request"),
        ({"message": "M"}, 500, "server"),
        ({"error": {"code": 200, "message": "M"}}, 500, "server"),
    ],
)
def test_an_error_inside_a_stream_has_the_status_that_its_words_say(told, status, kind):
    error = error_of(told)

    assert (error.status, error.kind) == (status, kind)


def test_a_page_of_a_proxy_on_the_way_is_no_message():
    error = read_error(502, b"<html><body>Bad gateway</body></html>")

    assert (error.kind, error.message) == ("server", "The provider gave no reason.")


def test_plain_text_is_a_message_of_bounded_length():
    assert read_error(500, b" Internal error\n").message == "Internal error"
    assert len(read_error(500, b"x" * 99_999).message) < 10_000


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("7s", 7.0),
        ("0.25s", 0.25),
        ("-3s", 0.0),
        ("soon", None),
        ("infs", None),
        ("1e999s", None),
        ("nans", None),
        (7, None),
    ],
)
def test_geminis_wait_stands_in_the_error_itself(delay, seconds):
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    error = error_of({"error": {"code": 429, "message": "M", "details": details}})

    assert error.retry_after == seconds


def test_what_tells_a_caller_when_to_come_back_is_passed_on_and_nothing_else():
    given_headers = [
        ("Retry-After", "7"),
        ("x-should-retry", "true"),
        ("X-RateLimit-Limit-Requests", "9"),
        ("anthropic-ratelimit-tokens-limit", "9"),
        ("request-id", "r"),
        ("Set-Cookie", "a=b"),
        ("Server", "s"),
    ]
    error = read_error(429, b"{}", Headers.of(given_headers))

    assert list(error.headers) == given_headers[:5]
    assert told_headers(Headers.of(given_headers)) == given_headers[:5]


@given(JSON, st.integers(0, 999))
def test_any_json_is_an_error_of_a_provider(told, status):
    for error in (error_of(told, status), read_error(status, orjson.dumps(told))):
        assert isinstance(error, ProviderError)
        assert 400 <= error.status <= 599
        assert error.message
        assert error.code
        assert error.kind in STATUS_OF_KIND


@pytest.mark.parametrize(
    "body",
    [
        '{"code":"²²²"}'.encode(),
        b'{"code":"' + b"9" * 5000 + b'"}',
        b'{"errors":' + b"[" * 300 + b"]" * 300 + b"}",
        b"[" * 2000,
        b'{"error":{"details":[{"retryDelay":"1e308s"}]}}',
    ],
)
def test_an_error_that_is_made_to_break_its_reader_is_one_like_any_other(body):
    error = read_error(0, body)

    assert 400 <= error.status <= 599
    assert error.message
    assert (error.retry_after or 0) < 1e9


@given(st.binary(max_size=60), st.integers(400, 599))
def test_any_bytes_are_an_error_of_a_provider(body, status):
    error = read_error(status, body)

    assert error.status == status
    assert error.message


#: The kinds that recorded errors of each status may have.
KINDS = {
    400: {"invalid_request", "quota"},
    401: {"authentication"},
    403: {"permission"},
    404: {"not_found"},
    429: {"rate_limit", "quota"},
}


@needs_recordings
def test_every_recorded_error_has_a_message_and_the_kind_that_its_status_says():
    seen = 0
    for record in records():
        response = record["response"]
        if response["status"] < 400:
            continue
        seen += 1
        body = orjson.dumps(response["body"]) if "body" in response else response.get("text", "").encode()
        error = read_error(response["status"], body)

        assert error.kind in KINDS[response["status"]], record["id"]
        assert error.message != "The provider gave no reason.", record["id"]
        assert not error.message.startswith(("{", "[")), (record["id"], error.message)

    assert seen > 50


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (GatewayError(429, "x", "X.", retry_after=1.5), ("2", "1500", "true")),
        (GatewayError(503, "x", "X."), (None, None, "true")),
        (BadRequest("x", "X."), (None, None, "false")),
        (GatewayError(408, "x", "X."), (None, None, None)),
        (UpstreamError("x", "X.", phase="connect", sent=False), (None, None, None)),
        (ProviderError(429, "x", "X.", kind="rate_limit", retry_after=7), ("7", "7000", None)),
    ],
    ids=lambda value: getattr(value, "status", None),
)
def test_sdks_are_told_whether_and_when_to_try_again(error, told):
    fields = retry_fields(error)

    assert (fields.get("retry-after"), fields.get("retry-after-ms"), fields.get("x-should-retry")) == told
