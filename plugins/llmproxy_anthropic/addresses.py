"""Where a batch's results are fetched: its object names Anthropic's own address, which SDKs ask as it stands.

Their key is the gateway's, so it has to be the gateway's address too.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from llmproxy.plugin import Body, Exchange, Lane, Reply

_BATCHES: Final = re.compile(r"(.*/)messages/batches(?:/[^/]+(?:/cancel)?)?")
_RESULTS: Final = re.compile(
    rb'("results_url"\s*:\s*")https?://[^"\s]*?/(messages/batches/[^"/\s]+/results")'
)
#: Bytes of a list of batches; a longer one passes as it is.
_MOST: Final = 16 * 1024 * 1024


class _Readdressed:
    """Puts another address into a JSON text that comes in pieces, when all of it is here."""

    def __init__(self, ours: bytes) -> None:
        self._ours = ours
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Hold it back, up to a bound."""
        self._size += len(data)
        self._held.append(data)
        if self._size <= _MOST:
            return b""
        held, self._held = b"".join(self._held), []
        return held

    def close(self) -> bytes:
        """Return the text."""
        return _put(b"".join(self._held), self._ours)


def readdress(exchange: Exchange, reply: Reply) -> None:
    """Have the results of the batches that a reply tells of fetched through the gateway."""
    request = exchange.request
    found = _BATCHES.fullmatch(request.path)
    if found is None or not request.host or b"content-encoding" in reply.headers.index:
        return
    ours = orjson.dumps(f"{request.scheme}://{request.host}{found[1]}")[1:-1]
    reply.headers.remove("content-length")
    if isinstance(reply.body, Body):
        reply.body = Lane(reply.body, [_Readdressed(ours)])
    else:
        reply.body = _put(reply.body, ours)


def _put(text: bytes, ours: bytes) -> bytes:
    return _RESULTS.sub(lambda found: found[1] + ours + found[2], text)
