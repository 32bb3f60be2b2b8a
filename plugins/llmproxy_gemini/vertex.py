"""Upstreams that are Vertex AI by another host's name (`gemini-vertex`): a private endpoint, a gateway before it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from llmproxy.plugin import UpstreamConfig, UpstreamFace
from llmproxy_gemini.upstream import GeminiUpstream

_PUBLISHER: Final = "publishers/google/"


class VertexUpstream(GeminiUpstream):
    """How Vertex speaks it, whatever its host is called."""

    def __init__(self, publisher: str = _PUBLISHER, base: str = "") -> None:
        super().__init__(vertex=True, publisher=publisher, base=base)

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream, whose base URL may name the publisher."""
        path = urlsplit(config.base_url).path
        return VertexUpstream("" if "/publishers/" in path else _PUBLISHER, path)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries a token; API keys of Vertex go to Google's own host."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]
