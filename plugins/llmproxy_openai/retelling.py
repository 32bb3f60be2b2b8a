"""The forms of an answer: which a caller asked for, and how a kept one gets another."""

# ruff: noqa: PLC0415  # the imports inside the functions are the point: few answers are told twice

from __future__ import annotations

import base64
import struct
from typing import Any, Final

import orjson

from llmproxy.plugin import Exchange, Form, Reply, Untellable, scan_members
from llmproxy_openai.calls import call_of
from llmproxy_openai.encoding import asks_usage

#: Manners: of a stream without usage; of answers to who knows one function call only; of vectors.
BARE: Final = "bare"
LEGACY: Final = "legacy"
PACKED: Final = "base64"

_WIRE: Final = "openai"
_TOLD_BY: Final = frozenset({"encoding_format"})


def form_of(exchange: Exchange, body: bytes, reply: Reply | None) -> Form:
    """Return the form that is asked for, or that the reply has."""
    path = exchange.request.path.rstrip("/")
    call = call_of(path) if exchange.request.method == "POST" else ""
    streamed = exchange.streamed if reply is None else reply.is_event_stream
    if call == "responses" and not path.endswith("/responses"):
        call = ""  # what is kept at the provider, and counts
    manner = ""
    if call == "chat":
        manner = _manner(exchange, body, streamed=streamed, asked=reply is None)
    elif call == "embeddings" and b'"base64"' in body:
        member = scan_members(body, _TOLD_BY).get("encoding_format")
        packed = member is not None and orjson.loads(body[member.value_start : member.value_end]) == PACKED
        manner = PACKED if packed else ""
    return Form(_WIRE, call, streamed, manner)


def _manner(exchange: Exchange, body: bytes, *, streamed: bool, asked: bool) -> str:
    # The gateway asks for usage on its own account; what it gets is taken out behind the cache.
    counted = not streamed or (exchange.usage_added and not asked) or _asks_usage(exchange, body)
    legacy = b'"functions"' in body and _is_legacy(body)
    return "-".join([LEGACY] * legacy + [BARE] * (not counted))


def _asks_usage(exchange: Exchange, body: bytes) -> bool:
    # What was read plainly, and so has no members yet, has each key in one spelling.
    return bool(exchange.members or b'"stream_options"' in body) and asks_usage(exchange, body)


def _is_legacy(body: bytes) -> bool:
    asked = orjson.loads(body)
    return "functions" in asked and "tools" not in asked


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept answer in another form of the same call.

    Raises:
        Untellable: it would lose something.
    """
    if source.call == "chat":
        from llmproxy_openai.chat import retelling as chat

        if (LEGACY in source.manner) != (LEGACY in target.manner):
            raise Untellable("tools and the function call of old are told apart")
        return chat.retell(body, streamed=source.streamed, stream=target.streamed, bare=BARE in target.manner)
    if source.call == "responses":
        from llmproxy_openai.responses import retelling as responses

        return responses.retell(body, source, target)
    if source.call == "embeddings":
        return _vectors(body, packed=target.manner == PACKED)
    raise Untellable("this call has one form only")


def _vectors(body: bytes, *, packed: bool) -> bytes:
    told = orjson.loads(body)
    for item in told["data"]:
        vector: Any = item["embedding"]
        if packed and type(vector) is list:
            item["embedding"] = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        elif not packed and type(vector) is str:
            data = base64.b64decode(vector, validate=True)
            item["embedding"] = struct.unpack(f"<{len(data) // 4}f", data)
    return orjson.dumps(told)
