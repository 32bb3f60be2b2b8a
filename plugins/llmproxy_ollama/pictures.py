"""Pictures: base64 without a word of what they are."""

from __future__ import annotations

from typing import Final

from llmproxy.canonical import FileRef, Image, Inline, Losses, Source

#: How base64 of a picture begins, and its media type.
_BEGINNINGS: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
)


def read_picture(data: str) -> Image:
    """Return a picture, its type told by its first bytes."""
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        return Image(source=Inline(media_type=head[5:].partition(";")[0] or "image/png", data=data))
    kind = next((kind for begin, kind in _BEGINNINGS if data.startswith(begin)), "image/png")
    return Image(source=Inline(media_type=kind, data=data))


def written_picture(source: Source, losses: Losses) -> str | None:
    """Return a picture's base64, or None where there is none: links were fetched before."""
    if isinstance(source, Inline):
        return source.data
    why = "the file is kept by another provider" if isinstance(source, FileRef) else "Ollama fetches nothing"
    losses.lose("content.image", why)
    return None
