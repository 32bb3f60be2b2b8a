from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from llmproxy.plugin import BadField, ClientRequest, Headers, member_value
from llmproxy_openai.reading import READER, include_usage

if TYPE_CHECKING:
    from .conftest import MakeExchange

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def form(*parts: tuple[str, str]) -> bytes:
    written = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts
    )
    return "".join([*written, "--b--\r\n"]).encode()


async def test_model_and_stream_are_read_from_json(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={"messages": [], "model": "gpt", "stream": True})

    assert exchange.model == "gpt"
    assert exchange.streamed
    assert set(READER.members_of(exchange, await exchange.body())) == {"model", "stream"}


@pytest.mark.parametrize("stream", [b"false", b"null"])
def test_a_stream_not_wanted_is_none(exchange_for: MakeExchange, stream: bytes) -> None:
    assert not exchange_for(body=b'{"model":"m","stream":%b}' % stream).streamed


def test_an_escaped_model_name_is_decoded(exchange_for: MakeExchange) -> None:
    assert exchange_for(body=b'{"model":"gp\\u0074"}').model == "gpt"


def test_a_second_body_replaces_what_was_read(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={"model": "one", "stream": True})

    exchange.set_body(b"{}")

    assert (exchange.model, exchange.streamed, exchange.members) == (None, False, {})


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"model":"m"} x', "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'"text"', "invalid_json", None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json", None),
        (b'{"model":"a","model":"b"}', "duplicate_key", "model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "duplicate_key", "model"),
        (b'{"model":1}', "invalid_type", "model"),
        (b'{"model":null}', "invalid_type", "model"),
        (b'{"model":""}', "invalid_type", "model"),
        (b'{"model":"m","stream":"true"}', "invalid_type", "stream"),
        (b'{"model":"m","stream":1}', "invalid_type", "stream"),
        (b'{"model":"m","stream_options":true}', "invalid_json", "stream_options"),
        (
            b'{"stream_options":{"include_usage":true,"include_usage":false}}',
            "duplicate_key",
            "stream_options.include_usage",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_broken_input_is_refused(
    exchange_for: MakeExchange, body: bytes, code: str, param: str | None
) -> None:
    with pytest.raises(BadField) as caught:
        exchange_for(body=body)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]
)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_wrong_content_type_is_refused(exchange_for: MakeExchange, path: str, kind: str) -> None:
    with pytest.raises(BadField) as caught:
        exchange_for(path, b'{"model":"m"}', {"Content-Type": kind})

    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused(exchange_for: MakeExchange) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    with pytest.raises(BadField) as caught:
        exchange_for(body=b"\x1f\x8b", headers=headers)

    assert (caught.value.status, caught.value.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("kind", ["Application/JSON; charset=utf-8", "application/vnd.api+json", None])
def test_json_is_known_by_any_of_its_names(exchange_for: MakeExchange, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    assert exchange_for("/v1/anything", b'{"model":"m"}', headers).model == "m"


def test_a_form_tells_its_model_and_stream(exchange_for: MakeExchange) -> None:
    body = form(("file", "RIFF"), ("model", "whisper-1"), ("stream", "true"))

    exchange = exchange_for("/v1/audio/transcriptions", body, FORM)

    assert (exchange.model, exchange.streamed) == ("whisper-1", True)


def test_a_form_with_two_models_is_refused(exchange_for: MakeExchange) -> None:
    with pytest.raises(BadField, match="only once"):
        exchange_for("/v1/audio/transcriptions", form(("model", "a"), ("model", "b")), FORM)


def test_a_form_without_boundary_is_refused(exchange_for: MakeExchange) -> None:
    with pytest.raises(BadField, match="boundary"):
        exchange_for("/v1/images/edits", form(("model", "a")), {"Content-Type": "multipart/form-data"})


def test_the_form_of_a_file_is_not_read(exchange_for: MakeExchange) -> None:
    assert exchange_for("/v1/files", form(("model", "a"), ("model", "b")), FORM).model is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_without_body_passes(exchange_for: MakeExchange, method: str) -> None:
    assert exchange_for("/v1/models/gpt", method=method).model is None


def test_a_post_that_needs_no_body_passes(exchange_for: MakeExchange) -> None:
    assert exchange_for("/v1/responses/r1/cancel").model is None


@pytest.mark.parametrize(
    ("method", "path", "kind", "needed"),
    [
        ("POST", "/v1/chat/completions", "application/json", True),
        ("POST", "/v1/chat/completions", "text/plain", True),
        ("POST", "/v1/audio/transcriptions", "multipart/form-data; boundary=b", True),
        ("POST", "/v1/files", "multipart/form-data; boundary=b", False),
        ("PUT", "/v1/uploads/u/parts", "application/octet-stream", False),
        ("GET", "/v1/models", "application/json", False),
        ("DELETE", "/v1/files/f", "application/json", False),
    ],
)
def test_only_bodies_that_name_a_model_are_needed(method: str, path: str, kind: str, needed: bool) -> None:
    assert READER.needed(ClientRequest(method, path, Headers.of({"Content-Type": kind}))) is needed


def test_include_usage_is_found_in_its_object() -> None:
    value = b'{"a":1,"include_usage": false}'
    member = include_usage(value)

    assert member is not None
    assert member_value(value, member) == b"false"


@pytest.mark.parametrize(
    ("models", "passes"),
    [(b'["gpt"]', True), (b"null", True), (b'["gpt","dear"]', False), (b"[1]", False), (b'"dear"', False)],
)
def test_a_list_of_models_holds_none_that_the_caller_may_not_ask_for(
    exchange_for: MakeExchange, models: bytes, passes: bool
) -> None:
    exchange = exchange_for(body=b'{"model":"gpt"}')
    exchange.may_ask = "gpt".__eq__
    told = contextlib.nullcontext() if passes else pytest.raises(BadField, match="may not use")

    with told:
        exchange.set_body(b'{"model":"gpt","models":%b}' % models)


def test_a_form_that_servers_may_read_otherwise_is_refused(exchange_for: MakeExchange) -> None:
    body = form(("model", "cheap"), *((f"n{number}", "1") for number in range(130)), ("model", "dear"))

    with pytest.raises(BadField, match="one way only"):
        exchange_for("/v1/audio/transcriptions", body, FORM)
