"""Reads from a request what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import orjson

from llmproxy.plugin import BadField, ClientRequest, DuplicateKey, Exchange, Member, member_value, scan

KEYS: Final = frozenset({"model", "stream"})
COUNT: Final = "/count_tokens"
# Endpoints whose body is JSON and nothing else, so that any other content type is a mistake worth naming.
_JSON_ENDPOINTS: Final = ("/messages", COUNT, "/complete", "/batches")
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def reads_body(request: ClientRequest) -> bool:
    """Say whether the body must be read before the request can be routed."""
    if request.method in _WITHOUT_BODY:
        return False
    return _is_json(request, media_type(request)) or request.path.endswith(_JSON_ENDPOINTS)


def read(exchange: Exchange, body: bytes) -> None:
    """Set the exchange's `model`, `streamed` and `members`; raise `BadField` for broken input."""
    request = exchange.request
    exchange.members, exchange.model, exchange.streamed = {}, None, False
    json_only = request.method == "POST" and request.path.endswith(_JSON_ENDPOINTS)
    if not body:
        if json_only:
            raise BadField("invalid_json", "The request has no body; it must be a JSON object.")
        return
    if _is_json(request, media_type(request)):
        _read_json(exchange, body)
        if request.path.endswith(COUNT):
            exchange.streamed = False
    elif json_only:
        message = "The request's Content-Type must be application/json."
        raise BadField("unsupported_media_type", message, status=415)


def media_type(request: ClientRequest) -> bytes:
    """Return the content type without its parameters, in lower case; empty where there is none."""
    value = request.headers.index.get(b"content-type", b"")
    return value if value == b"application/json" else value.partition(b";")[0].strip().lower()


def scan_members(body: bytes, keys: frozenset[str]) -> dict[str, Member]:
    """Find members of a JSON object; raise `BadField` where it is none, or holds one twice."""
    try:
        return scan(body, keys)
    except DuplicateKey as fault:
        raise BadField("duplicate_key", _sentence(fault), fault.key) from None
    except ValueError as fault:
        raise BadField("invalid_json", _sentence(fault)) from None


def members_of(exchange: Exchange, body: bytes) -> Mapping[str, Member]:
    """Return where the members stand that a request's encoding may change."""
    if not exchange.members and exchange.model is not None:
        exchange.members = scan_members(body, KEYS)
    return exchange.members


class _Fields(msgspec.Struct, gc=False):
    """What is acted on, where it has the type that it should have."""

    model: str | None = None
    stream: bool | None = None


_fields: Final = msgspec.json.Decoder(_Fields)


def _read_json(exchange: Exchange, body: bytes) -> None:
    if b"content-encoding" in exchange.request.headers.index:
        message = "A compressed request body is not read; send it without Content-Encoding."
        raise BadField("unsupported_encoding", message, status=415)
    if not _read_plainly(exchange, body):
        _read_exactly(exchange, body)


def _read_plainly(exchange: Exchange, body: bytes) -> bool:
    """Read a body in which each key stands at most once, in one spelling; False where that is not plain to see."""
    if body.count(b'"model"') != 1 or body.count(b'"stream"') > 1 or b"\\u00" in body:
        return False
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look at the text that it passes over
        told = _fields.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not told.model:
        return False
    exchange.model = told.model
    exchange.streamed = told.stream is True
    return True


def _read_exactly(exchange: Exchange, body: bytes) -> None:
    members = exchange.members = scan_members(body, KEYS)
    if (member := members.get("model")) is not None:
        exchange.model = _model(orjson.loads(member_value(body, member)))
    if (member := members.get("stream")) is not None:
        value = member_value(body, member)
        if value not in (b"true", b"false", b"null"):
            raise BadField("invalid_type", "stream: Input should be true or false.", "stream")
        exchange.streamed = value == b"true"


def _model(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadField("invalid_type", "model: Input should be a string that names a model.", "model")
    return value


def _is_json(request: ClientRequest, kind: bytes) -> bool:
    return kind == b"application/json" or kind.endswith(b"+json") or (not kind and request.method == "POST")


def _sentence(fault: BaseException) -> str:
    text = str(fault)
    return text[:1].upper() + text[1:] + "."
