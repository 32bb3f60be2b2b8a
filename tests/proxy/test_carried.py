import pytest

from llmproxy.carried import carried_headers, passed_headers
from llmproxy.messages import ClientRequest, Headers
from llmproxy.testing import make_exchange


def carried(**fields):
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return list(carried_headers(ClientRequest("POST", "/v1/messages", Headers.of(pairs))))


def passed(*raw):
    exchange = make_exchange()
    exchange.request.headers = Headers(list(raw))
    exchange.set_body(b"")
    return passed_headers(exchange).raw


def test_unknown_fields_travel_on_as_they_came():
    assert carried(X_Replay_Id="rec-1", traceparent="00-a-b-01") == [
        ("X-Replay-Id", "rec-1"),
        ("traceparent", "00-a-b-01"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-Api-Key",
        "api-key",
        "x-goog-api-key",
        "Cookie",
        "Proxy-Authorization",
        "X_API_KEY",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Accept-Encoding",
        "User-Agent",
        "Host",
        "Transfer-Encoding",
        "Upgrade",
        "X-Stainless-Retry-Count",
        "anthropic-version",
        "anthropic-beta",
        "OpenAI-Organization",
        "x-goog-user-project",
        "X-Amz-Security-Token",
        "X-HTTP-Method-Override",
        "Origin",
        "Referer",
    ],
)
def test_keys_the_body_s_description_and_one_dialects_own_fields_stay_behind(name):
    request = ClientRequest("POST", "/v1/messages", Headers.of([(name, "x"), ("X-Mine", "y")]))

    assert list(carried_headers(request)) == [("X-Mine", "y")]


def test_fields_that_the_connection_names_stay_behind():
    assert carried(Connection="close, X-Hop", X_Hop="1", X_Mine="2") == [("X-Mine", "2")]


def test_the_result_can_be_changed_without_touching_the_request():
    request = ClientRequest("POST", "/v1/messages", Headers.of([("X-Mine", "y")]))
    carried_headers(request).add("Content-Type", "application/json")

    assert list(request.headers) == [("X-Mine", "y")]


def test_headers_pass_as_spelled_without_credentials_and_connection_fields():
    kept = [
        (b"Accept", b"*/*"),
        (b"OpenAI-Beta", b"x"),
        (b"X-Stainless-Lang", b"python"),
        (b"x-a", b"1"),
        (b"x-a", b"2"),
    ]
    dropped = [
        "Authorization",
        "X-Api-Key",
        "api-key",
        "x-goog-api-key",
        "Cookie",
        "Host",
        "Content-Length",
        "Connection",
        "Keep-Alive",
        "TE",
        "Transfer-Encoding",
        "Upgrade",
        "Accept-Encoding",
        "Expect",
        "X-HTTP-Method-Override",
    ]
    raw = [(name.encode(), b"canary") for name in dropped] + kept

    assert passed(*raw) == kept


def test_fields_that_the_connection_names_do_not_pass():
    raw = [(b"X-Hop", b"1"), (b"Connection", b"keep-alive, X-HOP"), (b"X-End", b"2")]

    assert passed(*raw) == [(b"X-End", b"2")]


def test_any_number_of_header_names_is_passed():
    raw = [(b"x-%d" % number, b"") for number in range(3000)]

    assert passed(*raw) == raw


def test_an_upload_that_streams_through_says_its_length_and_a_body_that_was_read_does_not():
    exchange = make_exchange(headers={"content-length": "7"})

    assert passed_headers(exchange).get("Content-Length") == "7"
    exchange.set_body(b"{}")
    assert passed_headers(exchange).get("Content-Length") is None


def test_a_session_token_of_awss_stays_here():
    assert passed((b"X-Amz-Security-Token", b"caller's"), (b"X-A", b"1")) == [(b"X-A", b"1")]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/v1/files/file-1/content", False),
        ("/v1/files/file-1/%63ontent", False),
        ("/v1/messages/batches/b/results", False),
        ("/v1beta/files/f:download", False),
        ("/v1/audio/voices", True),
    ],
)
def test_what_tells_of_use_is_fetched_whole(path, kept):
    exchange = make_exchange()
    exchange.request = ClientRequest(
        "GET", path, Headers.of({"Range": "bytes=9-", "If-Range": "x", "X-A": "1"})
    )

    names = [name for name, _ in passed_headers(exchange).raw]

    assert names == ([b"Range", b"If-Range", b"X-A"] if kept else [b"X-A"])
