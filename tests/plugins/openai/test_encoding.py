from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxy.plugin import ClientRequest, Endpoint, Exchange, Headers, Quirks
from llmproxy_openai.azure import Azure
from llmproxy_openai.encoding import encode, upstream_target

if TYPE_CHECKING:
    from .conftest import MakeExchange

SAME = Endpoint("main")


def sent(exchange: Exchange, body: bytes, endpoint: Endpoint = SAME) -> bytes:
    out = encode(exchange, endpoint, body).body
    assert isinstance(out, bytes)
    return out


def test_an_unchanged_body_is_the_same_object(exchange_for: MakeExchange) -> None:
    body = b'{ "model": "m", "messages": [] }'

    assert sent(exchange_for(body=body), body, Endpoint("main", "m")) is body


def test_a_request_without_body_has_none(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/models/gpt", method="DELETE")

    request = encode(exchange, Endpoint("main", "other"), b"")

    assert (request.method, request.target, request.body) == ("DELETE", "/models/gpt", b"")


def test_the_model_name_alone_is_replaced(exchange_for: MakeExchange) -> None:
    body = b'{ "messages" : [] ,"model": "fast",\t"n":1.0}'

    out = sent(exchange_for(body=body), body, Endpoint("main", "gpt-4o"))

    assert out == b'{ "messages" : [] ,"model": "gpt-4o",\t"n":1.0}'


def test_a_form_gets_its_model_replaced(exchange_for: MakeExchange) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nfast\r\n--b--\r\n'
    exchange = exchange_for("/v1/audio/speech", body, {"Content-Type": "multipart/form-data; boundary=b"})

    assert sent(exchange, body, Endpoint("main", "whisper")) == body.replace(b"fast", b"whisper")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{}', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options": {"a": 1 }', b',"stream_options": {"a": 1 ,"include_usage":true}'),
        (b',"stream_options":{"include_usage": false}', b',"stream_options":{"include_usage": true}'),
    ],
)
def test_usage_is_asked_for_where_the_caller_did_not(
    exchange_for: MakeExchange, given: bytes, expected: bytes
) -> None:
    body = b'{"model":"m","stream":true%b}' % given
    exchange = exchange_for(body=body)

    out = sent(exchange, body)

    assert out == b'{"model":"m","stream":true%b}' % expected
    assert exchange.usage_added


def test_model_and_usage_are_changed_together_in_any_order(exchange_for: MakeExchange) -> None:
    body = b'{"stream_options":{},"stream":true,"model":"fast"}'

    out = sent(exchange_for(body=body), body, Endpoint("main", "m"))

    assert out == b'{"stream_options":{"include_usage":true},"stream":true,"model":"m"}'


def test_a_caller_who_asked_for_usage_gets_his_own_bytes(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
    exchange = exchange_for(body=body)

    assert sent(exchange, body) is body
    assert not exchange.usage_added


@pytest.mark.parametrize(
    ("path", "stream", "meter"),
    [
        ("/v1/responses", True, True),
        ("/v1/chat/completions", False, True),
        ("/v1/chat/completions", True, False),
    ],
)
def test_usage_is_not_asked_for_where_it_comes_anyway_or_nobody_counts(
    exchange_for: MakeExchange, path: str, stream: bool, meter: bool
) -> None:
    body = orjson.dumps({"model": "m", "stream": stream})
    exchange = exchange_for(path, body, meter_usage=meter)

    assert sent(exchange, body) is body
    assert not exchange.usage_added


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
others = st.dictionaries(
    st.text(max_size=9).filter(lambda key: key not in {"model", "stream", "stream_options"}),
    json_values,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(others, st.permutations(["others", "model", "stream", "stream_options"]), st.booleans())
def test_only_the_named_values_ever_change(
    exchange_for: MakeExchange, rest: dict[str, Any], order: list[str], spaced: bool
) -> None:
    fields: dict[str, Any] = {}
    for name in order:
        fields |= rest if name == "others" else {name: {"model": "fast", "stream": True}.get(name, {"x": 1})}
    body = orjson.dumps(fields, option=orjson.OPT_INDENT_2 if spaced else 0)

    out = orjson.loads(sent(exchange_for(body=body), body, Endpoint("main", "m")))

    assert out == fields | {"model": "m", "stream_options": {"x": 1, "include_usage": True}}
    assert list(out) == list(fields)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/chat/completions", "/chat/completions"),
        ("/v1/models/a%2Fb?x=1&y=", "/models/a%2Fb?x=1&y="),
        ("/openai/v1/chat/completions", "/chat/completions"),
        ("/v1/files/v1/content", "/files/v1/content"),
        ("/openai/deployments/d/embeddings?api-version=1", "/openai/deployments/d/embeddings?api-version=1"),
        ("/v1", ""),
    ],
)
def test_the_base_url_stands_for_the_callers_prefix(target: str, expected: str) -> None:
    assert upstream_target(ClientRequest("GET", target, Headers())) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/openai/deployments/fast/chat/completions?api-version=1&x=2", "/chat/completions?x=2"),
        ("/openai/deployments/openai/gpt-4o/embeddings?api-version=1", "/embeddings"),
        ("/openai/deployments/fast/odd", "/openai/deployments/fast/odd"),
        ("/v1beta/openai/chat/completions", "/chat/completions"),
        ("/openai/models?api-version=1", "/models"),
        ("/openai/v1/responses?api-version=1", "/responses?api-version=1"),
        ("/chat/completions", "/chat/completions"),
    ],
)
def test_a_base_url_with_a_path_stands_for_azures_and_googles_prefixes_too(
    target: str, expected: str
) -> None:
    path, _, query = target.partition("?")
    request = ClientRequest("POST", target, Headers())

    assert (request.path, request.query) == (path, query)
    assert upstream_target(request, rooted=False) == expected


def test_an_upload_that_streams_through_is_as_long_as_its_caller_said() -> None:
    headers = Headers.of({"Content-Type": "application/octet-stream", "Content-Length": "7"})
    route: Any = SimpleNamespace(meter_usage=True)
    exchange = Exchange(ClientRequest("POST", "/v1/files", headers), route, "test", 0.0)

    assert encode(exchange, SAME, b"").headers.get("content-length") == "7"


def test_a_body_at_hand_is_measured_when_it_is_sent(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body=b"{}", headers={"Content-Length": "2"})

    assert "content-length" not in encode(exchange, SAME, b"{}").headers.index


def test_who_tells_usage_unasked_is_not_asked(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m","stream":true,"messages":[]}'
    exchange = exchange_for(body=body)

    request = encode(exchange, SAME, body, Quirks(stream_usage="always"))

    assert request.body is body
    assert exchange.usage_added is False


@pytest.mark.parametrize(
    ("path", "target"), [("/v1/chat/completions?a=b", "/chat?a=b"), ("/v1/completions", "/completions")]
)
def test_a_provider_may_have_chat_elsewhere(exchange_for: MakeExchange, path: str, target: str) -> None:
    assert encode(exchange_for(path, body={}), SAME, b"{}", Quirks(chat_path="/chat")).target == target


DEPLOYED = "/openai/deployments/mine/chat/completions"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model": "other", "n": 1}', b'{"model": "mine", "n": 1}'),
        (b'{"n": 1}', b'{"n": 1,"model":"mine"}'),
        (b'{"model": "mine"}', b'{"model": "mine"}'),
        (b'{"stream":true}', b'{"stream":true,"model":"mine","stream_options":{"include_usage":true}}'),
    ],
)
def test_what_the_path_names_goes_before_what_the_body_says(exchange_for, body, expected):
    assert sent(exchange_for(DEPLOYED, body), body) == expected


def test_a_deployment_may_lead_to_another_model(exchange_for):
    body = b'{"model":"gpt"}'

    assert sent(exchange_for(DEPLOYED, body), body, Endpoint("main", "m")) == b'{"model":"m"}'


def test_a_form_is_told_its_model(exchange_for):
    body = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--b--\r\n'
    path = "/openai/deployments/ears/audio/transcriptions"
    exchange = exchange_for(path, body, {"Content-Type": "multipart/form-data; boundary=b"})

    assert b'name="model"\r\n\r\nears\r\n--b' in sent(exchange, body)


def test_azure_is_asked_at_its_own_paths(exchange_for):
    azure = Azure(version="2024-10-21", deployments=True)
    exchange = exchange_for(body={"model": "m"})

    request = encode(exchange, SAME, b'{"model":"m"}', azure=azure)

    assert request.target == "/deployments/m/chat/completions?api-version=2024-10-21"


def test_a_realtime_session_is_asked_for_by_the_models_own_name(exchange_for):
    exchange = exchange_for("/v1/realtime?model=fast&x=1", method="GET")
    exchange.upgraded, exchange.model = True, "fast"

    assert (
        encode(exchange, Endpoint("main", "gpt-realtime"), b"").target == "/realtime?model=gpt-realtime&x=1"
    )
