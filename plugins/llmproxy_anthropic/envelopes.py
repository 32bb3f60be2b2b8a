"""The envelopes that other clouds put a message's request into: the model in the path, the version in the body.

    Anthropic  /v1/messages, .../count_tokens           model and stream in the body, version and betas in the header
    Vertex     /publishers/anthropic/models/M:rawPredict     stream and version in the body, betas in the header
               (streamed `:streamRawPredict`; tokens are counted by M = `count-tokens`, with the model in the body)
    Bedrock    /model/M/invoke                               version and betas in the body
               (streamed `/invoke-with-response-stream`)

Sources: Anthropic's SDKs; "Claude on Vertex AI", "Claude in Amazon Bedrock". What is inside is the same, so its bytes
are kept where an envelope is changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec
import orjson

from llmproxy.plugin import BadField, BadRequest, Headers

#: The version that all of these know.
PLAIN_VERSION: Final = "2023-06-01"
VERTEX_VERSION: Final = "vertex-2023-10-16"
BEDROCK_VERSION: Final = "bedrock-2023-05-31"

_VERTEX: Final = re.compile(r"/publishers/anthropic/models/(.+):(rawPredict|streamRawPredict)\Z", re.DOTALL)
_BEDROCK: Final = re.compile(r"/model/(.+)/(invoke|invoke-with-response-stream)\Z", re.DOTALL)
_COUNTER: Final = "count-tokens"
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d")
_UPWARDS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\;]|$)")

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Call(NamedTuple):
    """What a path calls: a model, by its name and as the path spells it; for counts the body names it."""

    model: str
    segment: str
    streamed: bool = False
    counts: bool = False


@lru_cache(maxsize=512)
def vertex_call(path: str) -> Call | None:
    """Return what a path of Vertex's calls, or None where it is another kind of path."""
    match = _VERTEX.search(path)
    if match is None:
        return None
    segment, verb = match.groups()
    if segment == _COUNTER:
        return Call("", segment, counts=True)
    return Call(unquote(segment), segment, verb == "streamRawPredict")


@lru_cache(maxsize=512)
def bedrock_call(path: str) -> Call | None:
    """Return what a path of Bedrock's calls, or None likewise."""
    match = _BEDROCK.search(path)
    if match is None:
        return None
    segment, action = match.groups()
    return Call(unquote(segment), segment, action != "invoke")


def found(call: Call | None) -> Call:
    """Return what a path calls.

    Raises:
        BadRequest: it calls nothing.
    """
    if call is None:
        raise BadRequest("not_found", "This path calls no model.", status=404)
    return call


def vertex_target(segment: str, *, streamed: bool = False, prefix: str = "") -> str:
    """Return the path of a call, relative to the upstream's base URL, which `prefix` completes."""
    return f"{prefix}/models/{segment}:{'streamRawPredict' if streamed else 'rawPredict'}"


def vertex_counter(prefix: str = "") -> str:
    """Return the path of the call that counts tokens."""
    return vertex_target(_COUNTER, prefix=prefix)


def bedrock_target(segment: str, *, streamed: bool = False) -> str:
    """Return the path of a call, relative to the upstream's base URL."""
    return f"/model/{segment}/{'invoke-with-response-stream' if streamed else 'invoke'}"


def written(model: str, safe: str = "@") -> str:
    """Return a model's name as one segment of a path.

    Raises:
        BadRequest: the name, which callers write as they like, would lead out of it.
    """
    if not model or _UPWARDS.search(model) is not None:
        raise BadRequest("model_not_found", f"model: {model[:200]}", status=404)
    return quote(model, safe=safe)


def rewrapped(body: bytes, drop: frozenset[str], put: Mapping[str, object]) -> bytes:
    """Return an object without some members and with others before the rest, whose values keep their bytes.

    Raises:
        BadField: the body is no JSON object.
    """
    members = opened(body)
    pieces = [orjson.dumps(key) + b":" + orjson.dumps(value) for key, value in put.items()]
    for key, value in members.items():
        if key not in drop and key not in put:
            pieces.append(orjson.dumps(key) + b":" + bytes(memoryview(value)))
    return b"{" + b",".join(pieces) + b"}"


def opened(body: bytes) -> dict[str, msgspec.Raw]:
    """Return an object's members as they stand.

    Raises:
        BadField: the body is no JSON object.
    """
    try:
        body.decode()
        return _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadField("invalid_json", "The body is not a JSON object.") from None


def into_vertex(body: bytes, headers: Headers) -> bytes:
    """Return a message's body as Vertex wants it, from Anthropic's own; the model goes into the path."""
    version = headers.get("anthropic-version") or PLAIN_VERSION
    told = VERTEX_VERSION if version <= PLAIN_VERSION else version
    return rewrapped(body, frozenset({"model"}), {"anthropic_version": told})


def out_of_vertex(body: bytes, headers: Headers, model: str | None, *, streamed: bool) -> bytes:
    """Return the body as Anthropic wants it, from Vertex's, and put the version into the header."""
    members = opened(body)
    told = members.get("anthropic_version")
    version = orjson.loads(memoryview(told)) if told is not None else ""
    if isinstance(version, str) and _DATED.fullmatch(version) is not None:
        headers.set("anthropic-version", version)
    elif "anthropic-version" not in headers:
        headers.set("anthropic-version", PLAIN_VERSION)
    put: dict[str, object] = {}
    if model is not None:
        put["model"] = model
    if streamed:
        put["stream"] = True
    return rewrapped(body, frozenset({"anthropic_version"}), put)
