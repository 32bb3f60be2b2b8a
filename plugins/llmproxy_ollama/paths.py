"""Which call a path is."""

from __future__ import annotations

from typing import Final, Literal

Call = Literal["chat", "generate", "embed", "embeddings", "tags", "show", "version", "ps", ""]

#: Every call that has a meaning here, by the end of its path.
PATHS: Final[dict[str, Call]] = {
    "/api/chat": "chat",
    "/api/generate": "generate",
    "/api/embed": "embed",
    "/api/embeddings": "embeddings",
    "/api/tags": "tags",
    "/api/show": "show",
    "/api/version": "version",
    "/api/ps": "ps",
}

#: Calls that are answered by a stream of lines unless their caller wants none.
STREAMING: Final = frozenset({"chat", "generate"})

_API: Final = "/api/"


def call_of(path: str) -> Call:
    """Return which call a path is, wherever it is mounted; "" where it is none that is known."""
    at = path.rfind(_API)
    return PATHS.get(path[at:].rstrip("/"), "") if at >= 0 else ""


def after_api(path: str) -> str:
    """Return what stands behind the last `/api`, from its slash on."""
    at = path.rfind(_API)
    return path[at + len(_API) - 1 :] if at >= 0 else path
