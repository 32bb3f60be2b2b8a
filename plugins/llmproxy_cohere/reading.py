"""Reads from a request what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import BodyReader


class RequestReader(BodyReader):
    """Reads JSON bodies."""

    json_paths = ("/chat", "/embed", "/rerank", "/tokenize", "/detokenize", "/classify", "/summarize")


READER: Final = RequestReader()
