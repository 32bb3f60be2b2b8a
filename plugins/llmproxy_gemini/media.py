"""Bytes of any kind, in a part and in a block: `inlineData` and `fileData`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from llmproxy.canonical import Audio, Block, Document, FileRef, Image, Inline, Link, Source, Video
from llmproxy_gemini.fields import members, word

_DIALECT: Final = "gemini"
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


def read_inline(value: object, where: str) -> Block:
    """Return the block of an `inlineData`."""
    told = members(value, where)
    media_type = word(told, "mimeType", where) or _UNKNOWN
    title = word(told, "displayName", where)
    return _block(media_type, Inline(media_type=media_type, data=word(told, "data", where)), title)


def read_file(value: object, where: str) -> Block:
    """Return the block of a `fileData`."""
    told = members(value, where)
    uri, media_type = word(told, "fileUri", where), word(told, "mimeType", where)
    title = word(told, "displayName", where)
    kind = media_type or guessed(uri)
    source: Source = Link(url=uri, media_type=media_type)
    if uri.startswith(_OWN):
        source = FileRef(id=uri, dialect=_DIALECT, media_type=media_type)
    return _block(kind, source, title)


def _block(media_type: str, source: Source, title: str) -> Block:
    family = media_type.partition("/")[0].lower()
    if family == "image":
        return Image(source=source)
    if family == "audio":
        return Audio(source=source)
    if family == "video":
        return Video(source=source)
    return Document(source=source, title=title)


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
