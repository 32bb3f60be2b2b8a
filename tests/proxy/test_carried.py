import pytest

from llmproxy.carried import carried_headers
from llmproxy.messages import ClientRequest, Headers


def carried(**fields):
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return list(carried_headers(ClientRequest("POST", "/v1/messages", Headers.of(pairs))))


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
