"""The wire form of chat chunks: what they have in common is written once a stream."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.canonical import Started


class ChunkLines:
    """Writes the chunks of one answer; `told` stands for all of them."""

    __slots__ = ("_tail", "_top", "told")

    def __init__(self, told: Started, *, include_usage: bool) -> None:
        self.told = told
        self._top = b""
        # A caller who asked for usage gets the member in every chunk, null until the last.
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def take(self, event: Started) -> None:
        """Take what the provider says of the answer; what it does not say stays."""
        own = self.told
        name, model, created = event.id or own.id, event.model or own.model, event.created or own.created
        self.told = Started(name, model, created, None, event.service_tier, event.fingerprint)
        self._top = b""

    def top(self) -> bytes:
        """Return how every chunk begins."""
        if not self._top:
            told = self.told
            members: dict[str, Any] = {
                "id": told.id,
                "object": "chat.completion.chunk",
                "created": told.created,
                "model": told.model,
            }
            if told.service_tier:
                members["service_tier"] = told.service_tier
            members["system_fingerprint"] = told.fingerprint or None
            self._top = b"data: " + orjson.dumps(members)[:-1] + b","
        return self._top

    def head(self, choice: int, key: bytes) -> bytes:
        """Return how a chunk begins whose delta is one member with a text."""
        return b'%b"choices":[{"index":%d,"delta":{"%b":' % (self.top(), choice, key)

    def text(self, head: bytes, text: str, logprobs: dict[str, Any] | None) -> bytes:
        """Return a chunk of that beginning."""
        told = b"null" if logprobs is None else orjson.dumps(logprobs)
        return b'%b%b},"logprobs":%b,"finish_reason":null}]%b' % (head, orjson.dumps(text), told, self._tail)

    def delta(self, choice: int, delta: dict[str, Any]) -> bytes:
        """Return a chunk with any delta."""
        return b'%b"choices":[{"index":%d,"delta":%b,"logprobs":null,"finish_reason":null}]%b' % (
            self.top(),
            choice,
            orjson.dumps(delta),
            self._tail,
        )

    def finish(self, choice: int, word: str, native: str) -> bytes:
        """Return the chunk that ends a choice."""
        more = b',"native_finish_reason":' + orjson.dumps(native) if native else b""
        return b'%b"choices":[{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b%b}]%b' % (
            self.top(),
            choice,
            orjson.dumps(word),
            more,
            self._tail,
        )

    def usage(self, usage: dict[str, Any]) -> bytes:
        """Return the chunk that tells usage."""
        return self.top() + b'"choices":[],"usage":' + orjson.dumps(usage) + b"}\n\n"
