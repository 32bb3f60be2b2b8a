from __future__ import annotations

import orjson
import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.plugin import Endpoint
from llmproxy_gemini.passing import encode, renamed

from .conftest import asked


def test_a_body_is_the_very_same_object(exchange_for: MakeExchange) -> None:
    body = b'{"contents": [ ], "generation_config":{}}'
    exchange = exchange_for(body=body)

    request = encode(exchange, Endpoint("up", "gemini-3-pro"), body)

    assert request.body is body
    assert request.target == "/models/gemini-3-pro:generateContent"


@pytest.mark.parametrize(
    ("path", "model", "publisher", "target"),
    [
        ("/v1beta/models/a%2Fb:countTokens?x=1&key=s", None, "", "/models/a%2Fb:countTokens?x=1"),
        ("/v1beta/models/a:countTokens", "x/y:z", "", "/models/x/y:z:countTokens"),
        ("/v1beta/models/a:countTokens", "ä b", "", "/models/%C3%A4%20b:countTokens"),
        ("/v1beta/models/a:countTokens", "tunedModels/t", "", "/tunedModels/t:countTokens"),
        ("/v1/publishers/google/models/a:countTokens", "b", "", "/models/b:countTokens"),
        ("/v1/models/a:countTokens", "b", "publishers/google/", "/publishers/google/models/b:countTokens"),
        (
            "/v1/projects/p/locations/l/publishers/google/models/a:countTokens",
            "b",
            "publishers/google/",
            "/projects/p/locations/l/publishers/google/models/b:countTokens",
        ),
        ("/v1beta/cachedContents?pageSize=3", None, "", "/cachedContents?pageSize=3"),
        ("/team/v1beta/files/x", None, "", "/files/x"),
    ],
)
def test_the_path_is_put_together_anew(
    exchange_for: MakeExchange, path: str, model: str | None, publisher: str, target: str
) -> None:
    exchange = exchange_for(path)

    assert encode(exchange, Endpoint("up", model), b"{}", publisher=publisher).target == target


def test_credentials_and_hop_by_hop_fields_stay_here(exchange_for: MakeExchange) -> None:
    headers = {
        "Authorization": "Bearer s",
        "X-Goog-Api-Key": "s",
        "x_api_key": "s",
        "Connection": "close, X-Hop",
        "X-Hop": "1",
        "x-goog-api-client": "genai",
        "Content-Length": "2",
        "X-HTTP-Method-Override": "GET",
    }
    request = encode(exchange_for(headers=headers), Endpoint("up"), b"{}")

    assert [name for name, _ in request.headers] == ["x-goog-api-client"]


def test_an_upload_that_nobody_read_says_its_length(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1beta/files", headers={"Content-Length": "7"})
    exchange._body = None

    assert encode(exchange, Endpoint("up"), b"").headers.get("content-length") == "7"


def test_inner_mentions_of_the_model_follow_its_new_name(exchange_for: MakeExchange) -> None:
    body = b'{ "requests" : [ {"model": "models/a", "content": {"model":"no"}}, {"model":"models/a"} ] }'
    exchange = exchange_for("/v1beta/models/a:batchEmbedContents", body)

    request = encode(exchange, Endpoint("up", "b"), body)

    assert request.body == body.replace(b'"models/a"', b'"models/b"')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"generateContentRequest":{"model":"models/a","contents":[]}}',
            b'{"generateContentRequest":{"model":"models/b","contents":[]}}',
        ),
        (b'{"model":3,"requests":[1,"model"]}', b'{"model":3,"requests":[1,"model"]}'),
        (b'{"model":"a"', b'{"model":"a"'),
        (b'{"model":"a","model":"c"}', b'{"model":"a","model":"c"}'),
    ],
)
def test_what_cannot_be_read_is_left_as_it_is(body: bytes, expected: bytes) -> None:
    assert renamed(body, "models/b") == expected


def test_every_recorded_request_passes_byte_for_byte(
    exchange_for: MakeExchange, recordings: list[dict[str, object]]
) -> None:
    for record, path, body in asked(recordings):
        exchange = exchange_for(path, body)

        request = encode(exchange, Endpoint("up", exchange.model), body)

        assert request.body is body, record["id"]
        assert exchange.model == record["model"]
        patched = encode(exchange, Endpoint("up", "another"), body).body
        assert isinstance(patched, bytes)
        orjson.loads(patched)
