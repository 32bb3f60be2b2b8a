"""Reads from a request what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import BodyReader, Exchange

COUNT: Final = "/count_tokens"


class RequestReader(BodyReader):
    """Reads JSON bodies; a call that counts is never streamed."""

    json_paths = ("/messages", COUNT, "/complete", "/batches")
    bad_model = "model: Input should be a string that names a model."
    bad_stream = "stream: Input should be true or false."

    def read(self, exchange: Exchange, body: bytes) -> None:
        """Set the exchange's `model`, `streamed` and `members`; raise `BadField` for broken input."""
        super().read(exchange, body)
        if exchange.request.path.endswith(COUNT):
            exchange.streamed = False


READER: Final = RequestReader()
