"""Reads from a request what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from typing import Final

import orjson

from llmproxy.plugin import BadField, BodyReader, Exchange, member_value, scan_members
from llmproxy_ollama.paths import STREAMING, call_of

_STREAM: Final = frozenset({"stream"})
_NAME: Final = frozenset({"name"})


class RequestReader(BodyReader):
    """Reads JSON bodies, whatever their content type says: Ollama does not look at it, and `curl -d` says a form."""

    def read(self, exchange: Exchange, body: bytes) -> None:
        """Set the exchange's `model`, `streamed` and `members`; chats are streamed unless it is said otherwise."""
        exchange.members, exchange.model, exchange.streamed = {}, None, False
        request = exchange.request
        if request.method != "POST":
            return
        if not body:
            raise BadField("invalid_json", "missing request body")
        if b"content-encoding" in request.headers.index:
            message = "A compressed request body is not read; send it without Content-Encoding."
            raise BadField("unsupported_encoding", message, status=415)
        if not self._read_plainly(exchange, body):
            self._read_exactly(exchange, body)
        call = call_of(request.path)
        if call not in STREAMING:
            exchange.streamed = False
        elif not exchange.streamed:
            exchange.streamed = not _tells_of_a_stream(exchange, body)
        if call == "show" and exchange.model is None:
            self._read_name(exchange, body)

    def _read_name(self, exchange: Exchange, body: bytes) -> None:
        """Read what is shown by its name, as it was asked for before there was `model`."""
        member = scan_members(body, _NAME).get("name")
        if member is not None:
            exchange.model = self.model(orjson.loads(member_value(body, member)))


def _tells_of_a_stream(exchange: Exchange, body: bytes) -> bool:
    if not exchange.members and b'"stream"' not in body:
        return False
    member = (exchange.members or scan_members(body, _STREAM)).get("stream")
    return member is not None and member_value(body, member) != b"null"


READER: Final = RequestReader()
