import orjson
import pytest

from llmproxy.plugin import (
    BadRequest,
    EventStreamDecoder,
    GatewayError,
    Headers,
    ProviderError,
    UpstreamTimeout,
)
from llmproxy_bedrock.errors import error_frame, error_reply, name_of, read_exception, read_refusal
from llmproxy_bedrock.frames import event_frame, exception_frame

from .conftest import told


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (BadRequest("x", "m"), "ValidationException"),
        (GatewayError(401, "x", "m"), "AccessDeniedException"),
        (GatewayError(404, "x", "m"), "ResourceNotFoundException"),
        (GatewayError(429, "x", "m"), "ThrottlingException"),
        (GatewayError(503, "x", "m"), "ServiceUnavailableException"),
        (GatewayError(500, "x", "m"), "InternalServerException"),
        (GatewayError(415, "x", "m"), "ValidationException"),
        (UpstreamTimeout("headers", 1, sent=True), "ModelTimeoutException"),
        (ProviderError(400, "x", "m", kind="quota"), "ServiceQuotaExceededException"),
        (
            ProviderError(529, "x", "m", kind="overloaded", type="overloaded_error"),
            "ServiceUnavailableException",
        ),
        (
            ProviderError(429, "x", "m", kind="overloaded", type="ModelNotReadyException"),
            "ModelNotReadyException",
        ),
    ],
)
def test_an_error_has_amazons_name(error, name):
    reply = error_reply(error)

    assert name_of(error) == name
    assert reply.status == error.status
    assert reply.headers.get("x-amzn-errortype") == name
    assert orjson.loads(reply.body) == {"message": "m"} or error.code == "upstream_timeout"


def test_the_sdks_are_told_when_to_come_back():
    reply = error_reply(GatewayError(429, "x", "m", retry_after=1.5))

    assert reply.headers.get("retry-after") == "2"
    assert reply.headers.get("x-amz-retry-after") == "1500"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (GatewayError(429, "x", "m"), "throttlingException"),
        (GatewayError(504, "x", "m"), "internalServerException"),
        (GatewayError(401, "x", "m"), "validationException"),
        (
            ProviderError(424, "x", "m", kind="server", type="ModelStreamErrorException"),
            "modelStreamErrorException",
        ),
    ],
)
def test_a_stream_ends_with_one_of_its_exceptions(error, name):
    assert told(error_frame(error)) == [(name, {"message": "m"})]


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/", "invalid_request"),
        (403, "UnrecognizedClientException:http://x", "authentication"),
        (403, "com.amazon#AccessDeniedException", "permission"),
        (400, "ServiceQuotaExceededException", "quota"),
        (429, "ThrottlingException", "rate_limit"),
        (429, "ModelNotReadyException", "overloaded"),
        (408, "ModelTimeoutException", "timeout"),
        (424, "ModelErrorException", "server"),
        (500, "TomorrowsException", "server"),
        (403, "", "permission"),
    ],
)
def test_a_refusal_is_read_by_the_name_in_its_head(status, name, kind):
    error = read_refusal(status, b'{"message":"why"}', Headers.of({"x-amzn-errortype": name}))

    assert (error.status, error.kind, error.message) == (status, kind, "why")


def test_a_refusal_may_be_no_json_and_say_when_to_come_back():
    error = read_refusal(503, b"<html>", Headers.of({"x-amz-retry-after": "2500"}))

    assert error.message == "The provider gave no reason."
    assert error.retry_after == 2.5


@pytest.mark.parametrize(
    ("frame", "status", "kind", "message"),
    [
        (exception_frame("throttlingException", {"message": "slow"}), 429, "rate_limit", "slow"),
        (
            exception_frame("modelStreamErrorException", {"message": "x", "originalStatusCode": 500}),
            424,
            "server",
            "x",
        ),
        (exception_frame("tomorrowsException", {}), 500, "server", "The provider gave no reason."),
        (exception_frame("validationException", ["x"]), 400, "invalid_request", "['x']"),
    ],
)
def test_an_exception_of_a_stream_is_read(frame, status, kind, message):
    (read,) = EventStreamDecoder().feed(frame)
    error = read_exception(read)

    assert (error.status, error.kind, error.message) == (status, kind, message)


@pytest.mark.shared
def test_every_recorded_refusal_is_read(recordings, judge):
    for record in recordings:
        reply = record["response"]
        if reply["status"] >= 400:
            error = read_refusal(reply["status"], orjson.dumps(reply["body"]), Headers.of(reply["headers"]))

            assert (error.status, error.message) == (reply["status"], reply["body"]["message"])
            assert error.kind == ("authentication" if reply["status"] == 403 else "invalid_request")


def test_an_event_is_no_exception():
    assert told(event_frame("messageStart", {}))[0][0] == "messageStart"
