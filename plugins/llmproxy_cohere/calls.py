"""Which call a path is, and what stands for it at the provider."""

from __future__ import annotations

from typing import Final, Literal

from llmproxy.plugin import ClientRequest

Call = Literal["chat", "embed", "rerank", "chat_v1", "embed_v1", "rerank_v1", ""]

_CALLS: Final[tuple[tuple[str, Call], ...]] = (
    ("/v2/chat", "chat"),
    ("/v2/embed", "embed"),
    ("/v2/rerank", "rerank"),
    ("/v1/chat", "chat_v1"),
    ("/v1/embed", "embed_v1"),
    ("/v1/rerank", "rerank_v1"),
)
_VERSIONS: Final = ("/v2/", "/v1/")


def call_of(path: str) -> Call:
    """Return which of the calls whose answers are known here a path is."""
    return next((call for end, call in _CALLS if path.endswith(end)), "")


def upstream_target(request: ClientRequest, version: str = "") -> str:
    """Return path and query from the API's version on; a `version` that the base URL ends in is not said twice."""
    starts = [at for prefix in _VERSIONS if (at := request.path.find(prefix)) >= 0]
    path = request.path[min(starts) :] if starts else request.path
    if version:
        path = path.removeprefix(version)
    return f"{path}?{request.query}" if request.query else path
