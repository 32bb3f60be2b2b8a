"""Bytes of any kind, in a part and in a block: `inlineData` and `fileData`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from llmproxy.canonical import Audio, Block, Document, FileRef, Image, Inline, Link, Losses, Source, Video
from llmproxy_gemini.fields import lose_rest, members, word

_DIALECT: Final = "gemini"
_INLINE: Final = frozenset({"data", "displayName", "mimeType"})
_FILE: Final = frozenset({"fileUri", "displayName", "mimeType"})
_UNKNOWN: Final = "application/octet-stream"
# Addresses that only Google can read.
_OWN: Final = ("files/", "gs://", "https://generativelanguage.googleapis.com/")
_FILMS: Final = ("www.youtube.com", "youtube.com", "m.youtube.com", "youtu.be")

_OF_SUFFIX: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "webm": "video/webm",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "text/xml",
}


def read_inline(value: object, where: str, losses: Losses) -> Block:
    """Return the block of an `inlineData`."""
    told = members(value, where)
    media_type = word(told, "mimeType", where) or _UNKNOWN
    lose_rest(told, _INLINE, where, losses)
    source = Inline(media_type=media_type, data=standard(word(told, "data", where)))
    return _titled(_block(media_type, source), told, where, losses)


def standard(data: str) -> str:
    """Return base64 in the alphabet that all providers take; Google's SDKs write the one for URLs (RFC 4648 §5)."""
    return data.replace("-", "+").replace("_", "/") if "_" in data or "-" in data else data


def read_file(value: object, where: str, losses: Losses) -> Block:
    """Return the block of a `fileData`."""
    told = members(value, where)
    uri, media_type = word(told, "fileUri", where), word(told, "mimeType", where)
    lose_rest(told, _FILE, where, losses)
    kind = media_type or guessed(uri)
    source: Source = Link(url=uri, media_type=media_type)
    if uri.startswith(_OWN):
        source = FileRef(id=uri, dialect=_DIALECT, media_type=media_type)
    return _titled(_block(kind, source), told, where, losses)


def _titled(block: Block, told: dict[str, Any], where: str, losses: Losses) -> Block:
    title = word(told, "displayName", where)
    if title and isinstance(block, Document):
        return msgspec.structs.replace(block, title=title)
    if title:
        losses.add(f"{where}.displayName", "elsewhere only documents have a name")
    return block


def _block(media_type: str, source: Source) -> Block:
    family = media_type.partition("/")[0].lower()
    if family == "image":
        return Image(source=source)
    if family == "audio":
        return Audio(source=source)
    if family == "video":
        return Video(source=source)
    return Document(source=source)


def guessed(url: str) -> str:
    """Return the media type that an address looks like, or an empty text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.netloc.lower() in _FILMS:
        return "video/mp4"
    return _OF_SUFFIX.get(parts.path.rpartition(".")[2].lower(), "")


def write_source(source: Source, otherwise: str) -> dict[str, Any] | None:
    """Return the part of a source, its type guessed or `otherwise`; None for a file that another provider keeps."""
    if isinstance(source, Inline):
        return {"inlineData": {"mimeType": source.media_type, "data": source.data}}
    if isinstance(source, FileRef):
        if source.dialect != _DIALECT:
            return None
        told = {"mimeType": source.media_type} if source.media_type else {}
        return {"fileData": {**told, "fileUri": source.id}}
    return {
        "fileData": {"mimeType": source.media_type or guessed(source.url) or otherwise, "fileUri": source.url}
    }
