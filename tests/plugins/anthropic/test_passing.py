import pytest

from llmproxy.plugin import ClientRequest, Endpoint, Headers
from llmproxy_anthropic.passing import passed, upstream_target

HEADERS = {
    "Content-Type": "application/json",
    "X-Api-Key": "caller",
    "Authorization": "Bearer caller",
    "anthropic-version": "2026-10-21",
    "Anthropic-Beta": "files-api-2025-04-14",
    "Connection": "close, X-Hop",
    "X-Hop": "1",
    "X-HTTP-Method-Override": "GET",
    "X-Mine": "2",
}


def test_an_unchanged_body_is_the_very_same_object(exchange_for):
    body = b'{"model":"m" , "messages":[]}'

    assert passed(exchange_for(body=body), Endpoint("main"), body).body is body
    assert passed(exchange_for(body=body), Endpoint("main", "m"), body).body is body


def test_another_model_is_the_only_change(exchange_for):
    body = b'{ "messages":[{"model":"m"}], "model" : "m", "x":1.50 }'

    sent = passed(exchange_for(body=body), Endpoint("main", 'n"'), body)
    assert sent.body == b'{ "messages":[{"model":"m"}], "model" : "n\\"", "x":1.50 }'


def test_a_body_without_a_model_is_left_alone(exchange_for):
    body = b'{"requests":[]}'

    assert passed(exchange_for("/v1/messages/batches", body), Endpoint("main", "n"), body).body is body


def test_credentials_stay_behind_and_the_version_goes_on(exchange_for):
    body = b'{"model":"m"}'
    sent = passed(exchange_for(body=body, headers=HEADERS), Endpoint("main"), body)

    assert [name for name, _ in sent.headers] == [
        "Content-Type",
        "anthropic-version",
        "Anthropic-Beta",
        "X-Mine",
    ]


def test_an_upload_keeps_its_length(exchange_for):
    exchange = exchange_for("/v1/files", b"", {"Content-Type": "multipart/form-data", "Content-Length": "9"})
    exchange._body = None

    assert passed(exchange, Endpoint("main"), b"").headers.get("content-length") == "9"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/messages", "/messages"),
        ("/v1/messages?beta=true", "/messages?beta=true"),
        ("/team/v1/messages/count_tokens", "/messages/count_tokens"),
        ("/anthropic/v1/messages", "/messages"),
        ("/anthropic/messages", "/messages"),
        ("/v1", ""),
        ("/v1/models/a%2Fb", "/models/a%2Fb"),
    ],
)
def test_the_base_url_stands_for_v1(target, expected):
    assert upstream_target(ClientRequest("POST", target, Headers())) == expected


@pytest.mark.shared
def test_every_recorded_request_passes_byte_for_byte(exchange_for, recordings):
    import orjson

    for record in recordings:
        told = record["request"] and record["request"].get("body")
        if isinstance(told, dict) and isinstance(told.get("model"), str):
            body = orjson.dumps(told)
            sent = passed(exchange_for(body=body), Endpoint("main", told["model"]), body)
            assert sent.body is body
            other = passed(exchange_for(body=body), Endpoint("main", "other"), body).body
            assert orjson.loads(other) == {**told, "model": "other"}
