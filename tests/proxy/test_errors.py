import pytest

from llmproxy.errors import (
    BadField,
    BadRequest,
    ConfigError,
    ConfigErrors,
    GatewayError,
    StartError,
    UpstreamError,
    UpstreamTimeout,
)


def test_a_gateway_error_carries_what_the_caller_is_told():
    error = GatewayError(429, "too_many", "Slow down.", retry_after=2.5, headers=[("X-Limit", "1")])

    assert str(error) == error.message == "Slow down."
    assert (error.status, error.code, error.retry_after) == (429, "too_many", 2.5)
    assert error.headers == (("X-Limit", "1"),)


@pytest.mark.parametrize(("given", "status"), [({}, 400), ({"status": 413}, 413)])
def test_a_bad_request_is_400_unless_said_otherwise(given, status):
    error = BadRequest("broken", "Broken.", **given)

    assert (error.status, error.code, error.retry_after, error.headers) == (status, "broken", None, ())


def test_a_bad_field_is_a_bad_request_that_names_its_place():
    error = BadField("invalid_type", "'a.b' must be a string.", "a.b")

    assert isinstance(error, BadRequest)
    assert (error.status, error.param) == (400, "a.b")
    assert BadField("unsupported_media_type", "No.", status=415).param is None


def test_an_upstream_error_tells_how_far_the_attempt_came():
    error = UpstreamError("upstream_reset", "Reset.", phase="body", sent=True)

    assert (error.status, error.phase, error.sent) == (502, "body", True)


def test_a_timeout_names_its_phase_and_its_seconds():
    error = UpstreamTimeout("first_token", 0.5, sent=True)

    assert str(error) == "The upstream exceeded its first_token timeout of 0.5 s."
    assert (error.status, error.code, error.phase) == (504, "upstream_timeout", "first_token")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("routes.a", "is missing"), "routes.a: is missing"),
        (("routes.a", "unknown", "b"), "routes.a: unknown; did you mean 'b'?"),
        (("", "is empty"), "is empty"),
    ],
)
def test_a_config_error_names_its_key_and_the_nearest_known_one(given, text):
    error = ConfigError(*given)

    assert str(error) == text
    assert error.path == given[0]


def test_all_config_errors_are_told_at_once_and_stop_the_start():
    errors = ConfigErrors([ConfigError("a", "one"), ConfigError("b", "two")])

    assert isinstance(errors, StartError)
    assert str(errors) == "a: one\nb: two"
    assert [error.path for error in errors.errors] == ["a", "b"]
