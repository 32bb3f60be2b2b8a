import pytest

from llmproxy.plugin import BadField, ClientRequest, Headers
from llmproxy_anthropic.reading import READER

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', ("m", False)),
        (b'{"model":"m","stream":true}', ("m", True)),
        (b'{"model":"m","stream":null,"messages":[{"role":"user","content":"stream"}]}', ("m", False)),
        (b'{"mod\\u0065l":"m","stream":true}', ("m", True)),
        (b'{"messages":[{"model":"x"}],"model":"m"}', ("m", False)),
        (b'{"messages":[]}', (None, False)),
    ],
)
def test_model_and_stream_are_read(exchange_for, body, expected):
    exchange = exchange_for(body=body)

    assert (exchange.model, exchange.streamed) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"model":"\xff"}', "invalid_json"),
        (b'{"model":1}', "invalid_type"),
        (b'{"model":""}', "invalid_type"),
        (b'{"model":"m","stream":1}', "invalid_type"),
        (b'{"model":"m","model":"n"}', "duplicate_key"),
        (b'{"model":"m","stream":true,"str\\u0065am":false}', "duplicate_key"),
    ],
)
def test_broken_input_is_refused(exchange_for, body, code):
    with pytest.raises(BadField) as caught:
        exchange_for(body=body)

    assert (caught.value.status, caught.value.code) == (400, code)


def test_other_types_of_body_are_refused_where_json_is_needed(exchange_for):
    with pytest.raises(BadField) as caught:
        exchange_for(body=b"model=m", headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert caught.value.status == 415


def test_a_compressed_body_is_refused(exchange_for):
    with pytest.raises(BadField) as caught:
        exchange_for(body=b"x", headers={**JSON, "Content-Encoding": "gzip"})

    assert caught.value.status == 415


def test_a_count_is_never_streamed(exchange_for):
    exchange = exchange_for("/v1/messages/count_tokens", b'{"model":"m","stream":true}')

    assert (exchange.model, exchange.streamed) == ("m", False)


@pytest.mark.parametrize(
    ("method", "path", "kind", "expected"),
    [
        ("POST", "/v1/messages", "application/json", True),
        ("POST", "/v1/messages", "text/plain", True),
        ("POST", "/v1/files", "multipart/form-data; boundary=x", False),
        ("POST", "/v1/files", "application/json; charset=utf-8", True),
        ("GET", "/v1/models", "application/json", False),
    ],
)
def test_only_json_is_read_before_routing(method, path, kind, expected):
    assert READER.needed(ClientRequest(method, path, Headers.of({"Content-Type": kind}))) is expected


def test_a_file_on_its_way_is_not_read(exchange_for):
    exchange = exchange_for("/v1/files", b"--x", {"Content-Type": "multipart/form-data; boundary=x"})

    assert exchange.model is None


def test_members_are_found_when_they_are_asked_for(exchange_for):
    body = b'{"model": "m"}'

    assert READER.members_of(exchange_for(body=body), body)["model"].value_start == 10
