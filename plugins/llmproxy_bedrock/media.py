"""Formats and media types: Amazon names files by the former, everybody else by the latter."""

from __future__ import annotations

from typing import Final

IMAGES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
DOCUMENTS: Final = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
VIDEOS: Final = {
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "flv": "video/x-flv",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "wmv": "video/x-ms-wmv",
    "three_gp": "video/3gpp",
}
SOUNDS: Final = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
    "mkv": "audio/x-matroska",
    "mka": "audio/x-matroska",
    "x-aac": "audio/x-aac",
    "mpeg": "audio/mpeg",
    "mpga": "audio/mpeg",
    "pcm": "audio/pcm",
}

#: Other names of the same types.
_ALIASES: Final = {
    "image/jpg": "jpeg",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/x-m4a": "m4a",
    "text/x-markdown": "md",
    "application/x-pdf": "pdf",
    "video/matroska": "mkv",
}


def media_type_of(format: str, table: dict[str, str], family: str) -> str:
    """Return the media type of a format; a new one is one of its family, by its name."""
    return table.get(format) or (f"{family}/{format}" if format else "")


def format_of(media_type: str, table: dict[str, str]) -> str | None:
    """Return the format of a media type, or None where Amazon takes no such file."""
    plain = media_type.partition(";")[0].strip().lower()
    if (alias := _ALIASES.get(plain)) in table:
        return alias
    return next((format for format, known in table.items() if known == plain), None)


def is_text(media_type: str) -> bool:
    """Say whether a file is text that can be read as it is."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain in ("application/json", "application/xml", "application/yaml")
