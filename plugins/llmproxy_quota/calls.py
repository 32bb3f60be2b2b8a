"""Which call a request is, as far as its tokens go. A path that is not known by its end may be any call."""

from __future__ import annotations

import re
from typing import Final, Literal

#: It makes an answer whose length it says; it only reads; it makes what no text bounds; it uses nothing; who knows.
Kind = Literal[
    "chat",
    "completions",
    "responses",
    "messages",
    "complete",
    "gemini",
    "cohere",
    "ollama",
    "converse",
    "reads",
    "media",
    "nothing",
    "any",
]

_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_GENERATE: Final[tuple[tuple[str, Kind], ...]] = (
    ("/chat/completions", "chat"),
    ("/completions", "completions"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/complete", "complete"),
    (":generateContent", "gemini"),
    (":streamGenerateContent", "gemini"),
    ("/v2/chat", "cohere"),
    ("/v1/chat", "cohere"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama"),
    ("/converse", "converse"),
    ("/converse-stream", "converse"),
)
_READS: Final = (
    "/embeddings",
    "/embed",
    "/rerank",
    "/moderations",
    "/score",
    "/classify",
    "/pooling",
    "/ocr",
    ":embedContent",
    ":batchEmbedContents",
)
#: They count, or keep a file, or end what was begun.
_NOTHING: Final = re.compile(
    r".*(?:/count_tokens|:countTokens|/count-tokens|/responses/input_tokens|/(?:de)?tokenize|/api/show"
    r"|/(?:responses|batches)/[^/]+/cancel"
    r"|/assistants(?:/[^/]+)?|/files|/uploads(?:/[^/]+/(?:parts|complete|cancel))?)"
)
_MEDIA: Final = ("/audio/", "/images/", "/videos", ":predict")


def kind_of(method: str, path: str, *, upgraded: bool = False) -> Kind:
    """Return what a request is; `path` is without query, as it was sent."""
    if upgraded:
        return "any"
    if method in _BODILESS or _NOTHING.fullmatch(path):
        return "nothing"
    for end, kind in _GENERATE:
        if path.endswith(end):
            return "any" if "/threads/" in path else kind
    if path.endswith(_READS):
        return "reads"
    return "media" if any(part in path for part in _MEDIA) else "any"
