"""Reads from a request what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from llmproxy.plugin import BadField, BodyReader, Exchange, Member, member_value, scan_members
from llmproxy_openai.multipart import boundary_of, fields
from llmproxy_openai.strictforms import is_plain_form, is_plain_type

_INCLUDE_USAGE = frozenset({"include_usage"})


class RequestReader(BodyReader):
    """Reads JSON bodies, and forms with a recording or a picture."""

    json_paths = ("/completions", "/responses", "/embeddings", "/rerank")
    form_paths = ("/audio/", "/images/", "/videos")
    keys = frozenset({"model", "models", "stream", "stream_options"})

    def read(self, exchange: Exchange, body: bytes) -> None:
        """Set the exchange's `model`, `streamed` and `members`; raise `BadField` for broken input."""
        super().read(exchange, body)
        member = exchange.members.get("models")
        if member is not None and exchange.may_ask is not None:
            _refuse_others(member_value(body, member), exchange.may_ask)

    def check(self, body: bytes, members: Mapping[str, Member]) -> None:
        """Look into `stream_options`."""
        if (member := members.get("stream_options")) is not None:
            value = member_value(body, member)
            if value != b"null":
                include_usage(value)

    def read_form(self, exchange: Exchange, body: bytes) -> None:
        """Read a form's fields of the same names."""
        content_type = exchange.request.headers.index.get(b"content-type", b"")
        boundary = boundary_of(content_type)
        if boundary is None:
            raise BadField("invalid_form", "The form's Content-Type names no boundary.")
        if not is_plain_type(content_type) or not is_plain_form(body, boundary):
            message = "The form cannot be read in one way only; write each part with one plain name, as RFC 7578 has it."
            raise BadField("invalid_form", message)
        readers: dict[str, Callable[[Exchange, bytes], None]] = {
            "model": self._form_model,
            "stream": self._form_stream,
        }
        members: dict[str, Member] = {}
        for name, start, end in fields(body, boundary):
            if name in readers:
                if name in members:
                    raise BadField("duplicate_key", f"The form must hold '{name}' only once.", name)
                members[name] = Member(start, start, end)
                readers[name](exchange, body[start:end])
        exchange.members = members

    def _form_model(self, exchange: Exchange, value: bytes) -> None:
        exchange.model = self.model(value.decode("utf-8", "replace"))

    def _form_stream(self, exchange: Exchange, value: bytes) -> None:
        exchange.streamed = value.strip().lower() in (b"true", b"1")


def _refuse_others(value: bytes, may_ask: Callable[[str], bool]) -> None:
    """Refuse models that the caller may not ask for: some providers (OpenRouter) answer by any that is listed there."""
    told = orjson.loads(value)
    for name in told if isinstance(told, list) else [told]:
        if name is not None and not (isinstance(name, str) and may_ask(name)):
            message = f"This key may not use the model {str(name)[:200]!r}."
            raise BadField("model_not_allowed", message, "models", status=403)


READER: Final = RequestReader()


def include_usage(value: bytes) -> Member | None:
    """Find `include_usage` inside the value of `stream_options`."""
    return scan_members(value, _INCLUDE_USAGE, "stream_options.").get("include_usage")
