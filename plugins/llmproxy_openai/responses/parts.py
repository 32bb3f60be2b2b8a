"""Reads the parts of a caller's message or tool output: texts, pictures, files, sound."""

from __future__ import annotations

import mimetypes
from typing import Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Losses,
    Refusal,
    Source,
    Text,
)
from llmproxy.plugin import BadField
from llmproxy_openai.responses.citations import read_citation
from llmproxy_openai.responses.reading import array, needed, table, text, unread, wrong

ORIGIN: Final = "openai"

_AUDIO: Final = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_MARK: Final = "prompt_cache_breakpoint"


def read_content(content: Any, path: str, losses: Losses) -> tuple[Block, ...]:
    """Read a text or a list of parts; empty texts are nothing."""
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if not isinstance(content, list):
        raise wrong(path, "a string or a list of parts")
    place = f"{path}[]"
    blocks = [_block(part, place, losses) for part in content]
    return tuple(block for block in blocks if block is not None)


def texts_of(told: Any, path: str) -> list[str]:
    """Return the texts of a list of parts that can be nothing else (summaries, reasoning)."""
    parts = [table(part, f"{path}[]") for part in array(told, path)]
    return [text(part.get("text"), f"{path}[].text") for part in parts]


def source_of(url: str, path: str) -> Inline | Link:
    """Return what stands in a data URL, or the URL."""
    if url[:5].lower() != "data:":
        return Link(url=url)
    head, comma, data = url[5:].partition(",")
    media_type, *more = head.split(";")
    if not comma or "base64" not in more:
        raise BadField("invalid_value", f"'{path}' is a data URL that is not in base64.", path)
    return Inline(media_type=media_type, data=data)


def _block(part: Any, path: str, losses: Losses) -> Block | None:
    if isinstance(part, str):
        return Text(text=part) if part else None
    kind = table(part, path).get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        losses.add(path, f"no other dialect has parts of type {kind!s:.40}")
        return None
    return reader(part, path, losses)


def _text(part: dict[str, Any], path: str, losses: Losses) -> Block | None:
    unread(part, ("type", "text", "annotations", _MARK), path, losses)
    words = text(part.get("text"), f"{path}.text")
    if not words:
        return None
    return Text(text=words, cache=_mark(part, path, losses), citations=_citations(part, path, losses))


def _citations(part: dict[str, Any], path: str, losses: Losses) -> tuple[Citation, ...]:
    told = array(part.get("annotations"), f"{path}.annotations")
    found = [read_citation(each) for each in told]
    if None in found:
        losses.add(f"{path}.annotations[]", "no other dialect has annotations of this type")
    return tuple(citation for citation in found if citation is not None)


def _refusal(part: dict[str, Any], path: str, losses: Losses) -> Block | None:
    unread(part, ("type", "refusal"), path, losses)
    words = text(part.get("refusal"), f"{path}.refusal")
    return Refusal(text=words) if words else None


def _image(part: dict[str, Any], path: str, losses: Losses) -> Block:
    unread(part, ("type", "image_url", "file_id", "detail", _MARK), path, losses)
    url, file = text(part.get("image_url"), f"{path}.image_url"), text(part.get("file_id"), f"{path}.file_id")
    detail = text(part.get("detail"), f"{path}.detail")
    if url and file:
        losses.add(f"{path}.file_id", "the picture's URL is sent instead")
    if not url and not file:
        raise BadField("missing_required_parameter", f"'{path}' must have an image_url or a file_id.", path)
    source = source_of(url, f"{path}.image_url") if url else FileRef(id=file, dialect=ORIGIN)
    return Image(source=source, detail="" if detail == "auto" else detail, cache=_mark(part, path, losses))


def _file(part: dict[str, Any], path: str, losses: Losses) -> Block:
    unread(part, ("type", "file_data", "file_url", "file_id", "filename", _MARK), path, losses)
    name = text(part.get("filename"), f"{path}.filename")
    given = {key: text(part.get(key), f"{path}.{key}") for key in ("file_data", "file_url", "file_id")}
    named = [key for key, value in given.items() if value]
    if not named:
        raise BadField(
            "missing_required_parameter", f"'{path}' must have file_data, a file_url or a file_id.", path
        )
    for key in named[1:]:
        losses.add(f"{path}.{key}", f"the file's {named[0]} is sent instead")
    source = _file_source(named[0], given[named[0]], name, f"{path}.{named[0]}")
    return Document(source=source, title=name, cache=_mark(part, path, losses))


def _file_source(key: str, value: str, name: str, path: str) -> Source:
    if key == "file_id":
        return FileRef(id=value, dialect=ORIGIN)
    guessed = mimetypes.guess_type(name)[0] or "application/pdf"
    if key == "file_url":
        return source_of(value, path)
    if value[:5].lower() != "data:":
        return Inline(media_type=guessed, data=value)
    source = source_of(value, path)
    if isinstance(source, Inline) and not source.media_type:
        return Inline(media_type=guessed, data=source.data)
    return source


def _audio(part: dict[str, Any], path: str, losses: Losses) -> Block:
    unread(part, ("type", "input_audio"), path, losses)
    inner = table(part.get("input_audio"), f"{path}.input_audio")
    unread(inner, ("data", "format"), f"{path}.input_audio", losses)
    data = needed(inner.get("data"), f"{path}.input_audio.data")
    form = needed(inner.get("format"), f"{path}.input_audio.format")
    return Audio(source=Inline(media_type=_AUDIO.get(form, f"audio/{form}"), data=data))


def _mark(part: dict[str, Any], path: str, losses: Losses) -> CacheMark | None:
    told = part.get(_MARK)
    if told is None:
        return None
    if losses.names.get("content.cache") != f"{path}.{_MARK}":  # marks stand in messages or in tools' outputs
        losses.names = {**losses.names, "content.cache": f"{path}.{_MARK}"}
    return CacheMark(ttl=text(table(told, f"{path}.{_MARK}").get("ttl"), f"{path}.{_MARK}.ttl"))


_READERS: Final = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
