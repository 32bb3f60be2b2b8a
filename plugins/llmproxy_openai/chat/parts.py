"""Parts of a message's content: text, pictures, recordings, files; both ways."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Reasoning,
    Refusal,
    Source,
    Text,
    Video,
)
from llmproxy.canonical.fields import members, required_text, rest, text, wrong

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

PATH: Final = "messages[].content[]."

_MARKS: Final = frozenset({"type", "cache_control", "prompt_cache_breakpoint"})
#: What OpenAI calls a recording's format, where it is not the media type's own word.
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}
_AUDIO_FORMATS: Final = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/pcm": "pcm16"}


def read_content(content: Any, at: str, losses: Losses) -> list[Block]:
    """Read a content: a string, a list of parts, or none."""
    if content is None or content == "":
        return []
    if type(content) is str:
        return [Text(content)]
    if type(content) is not list:
        raise wrong(f"{at}content", "a string or a list of parts")
    blocks: list[Block] = []
    for part in content:
        if type(part) is str:
            part = {"type": "text", "text": part}  # noqa: PLW2901  # Mistral's short form
        if type(part) is not dict:
            raise wrong(f"{at}content", "a list of objects")
        blocks += _read_part(part, f"{at}content[].", losses)
    return blocks


def _read_part(part: dict[str, Any], at: str, losses: Losses) -> list[Block]:
    kind = required_text(part, "type", at)
    reader = _READERS.get(kind)
    if reader is None:
        losses.add(f"{PATH}{kind[:60]}", "the gateway does not know this kind of part")
        return []
    value, known = reader(part, at, losses)
    rest(part, _MARKS | known, PATH, losses)
    return value


Read = tuple[list[Block], frozenset[str]]


def _text(part: dict[str, Any], at: str, losses: Losses) -> Read:
    said = text(part, "text", at)
    cache = read_mark(part, at)
    return [Text(said, cache)] if said or cache else [], frozenset({"text"})


def _image(part: dict[str, Any], at: str, losses: Losses) -> Read:
    value = part.get("image_url")
    url = {"url": value} if type(value) is str else members(part, "image_url", at) or {}
    source = source_of(required_text(url, "url", f"{at}image_url."), at)
    rest(url, frozenset({"url", "detail"}), f"{PATH}image_url.", losses)
    detail = text(url, "detail", f"{at}image_url.")
    return [Image(source, detail, read_mark(part, at))], frozenset({"image_url"})


def _audio(part: dict[str, Any], at: str, losses: Losses) -> Read:
    value = part.get("input_audio")
    told = {"data": value} if type(value) is str else members(part, "input_audio", at) or {}
    data = required_text(told, "data", f"{at}input_audio.")
    form = text(told, "format", f"{at}input_audio.") or "wav"
    rest(told, frozenset({"data", "format"}), f"{PATH}input_audio.", losses)
    source: Source
    if data.startswith(("data:", "https:", "http:")):
        source = source_of(data, at)
    else:
        source = Inline(_AUDIO_TYPES.get(form, f"audio/{form}"), data)
    return [Audio(source, read_mark(part, at))], frozenset({"input_audio"})


def _file(part: dict[str, Any], at: str, losses: Losses) -> Read:
    told = members(part, "file", at) or {}
    at += "file."
    data, name, known = text(told, "file_data", at), text(told, "file_id", at), frozenset({"file"})
    rest(told, frozenset({"file_data", "file_id", "filename", "format"}), f"{PATH}file.", losses)
    source: Source
    if data:
        source = source_of(data, at) if ":" in data[:8] else Inline("application/pdf", data)
    elif name:
        source = FileRef(name, "openai", text(told, "format", at))
    else:
        raise wrong(at + "file_data", "a data URL, or 'file_id' the name of a file")
    cache = read_mark(part, at)
    if isinstance(source, Inline) and source.media_type.startswith("video/"):
        return [Video(source, cache)], known
    return [Document(source, title=text(told, "filename", at), cache=cache)], known


def _video(part: dict[str, Any], at: str, losses: Losses) -> Read:
    value = part.get("video_url")
    url = {"url": value} if type(value) is str else members(part, "video_url", at) or {}
    rest(url, frozenset({"url"}), f"{PATH}video_url.", losses)
    source = source_of(required_text(url, "url", f"{at}video_url."), at)
    return [Video(source, read_mark(part, at))], frozenset({"video_url"})


def _document(part: dict[str, Any], at: str, losses: Losses) -> Read:
    source = source_of(required_text(part, "document_url", at), at)
    title = text(part, "document_name", at)
    return [Document(source, title=title)], frozenset({"document_url", "document_name"})


def _refusal(part: dict[str, Any], at: str, losses: Losses) -> Read:
    said = text(part, "refusal", at)
    return [Refusal(said)] if said else [], frozenset({"refusal"})


def _thinking(part: dict[str, Any], at: str, losses: Losses) -> Read:
    said = thinking_text(part.get("thinking"))
    known = frozenset({"thinking", "closed", "signature"})
    return [Reasoning(said)] if said else [], known


def thinking_text(value: Any) -> str:
    """Return the text of Mistral's thinking part, itself a list of parts."""
    if type(value) is str:
        return value
    parts = value if type(value) is list else []
    return "".join(p["text"] for p in parts if type(p) is dict and type(p.get("text")) is str)


_READERS: Final[dict[str, Callable[[dict[str, Any], str, Losses], Read]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "video_url": _video,
    "document_url": _document,
    "refusal": _refusal,
    "thinking": _thinking,
}


def read_mark(part: dict[str, Any], at: str) -> CacheMark | None:
    """Read a cache marker: OpenAI's own breakpoint, or Anthropic's, which many callers write."""
    for key in ("cache_control", "prompt_cache_breakpoint"):
        mark = members(part, key, at)
        if mark is not None:
            return CacheMark(text(mark, "ttl", f"{at}{key}."))
    return None


def write_mark(part: dict[str, Any], mark: CacheMark, extras: tuple[str, ...]) -> bool:
    """Put a marker on a part, as the provider takes it; whether it does."""
    ttl = {"ttl": mark.ttl} if mark.ttl else {}
    if "cache_control" in extras:
        part["cache_control"] = {"type": "ephemeral", **ttl}
    elif "prompt_cache_breakpoint" in extras:
        part["prompt_cache_breakpoint"] = {"mode": "explicit", **(ttl if mark.ttl in ("30m", "12h") else {})}
    else:
        return False
    return True


def takes_marks(extras: tuple[str, ...]) -> bool:
    """Say whether the provider takes cache markers."""
    return "cache_control" in extras or "prompt_cache_breakpoint" in extras


def mark(part: dict[str, Any], cache: CacheMark, extras: tuple[str, ...], losses: Losses) -> None:
    """Put a marker on a part of a message, or tell that it is lost."""
    if not write_mark(part, cache, extras):
        losses.lose("content.cache")


def report_text(block: Text, losses: Losses) -> None:
    """Tell what of a text has no place in a request."""
    if block.citations:
        losses.lose("content.citations")


def write_text(block: Text, extras: tuple[str, ...], losses: Losses) -> dict[str, Any]:
    """Write a text."""
    report_text(block, losses)
    part = {"type": "text", "text": block.text}
    if block.cache is not None:
        mark(part, block.cache, extras, losses)
    return part


def source_of(url: str, at: str) -> Source:
    """Read a URL: the bytes that a data URL (RFC 2397) holds, or where they are."""
    if not url.startswith("data:"):
        return Link(url)
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise wrong(at.rstrip("."), "a complete data URL")
    media, *flags = head.split(";")
    if "base64" not in flags:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Inline(media or "text/plain", data)


def data_url(source: Inline) -> str:
    """Return inline bytes as a data URL."""
    return f"data:{source.media_type};base64,{source.data}"


def audio_format(media_type: str) -> str:
    """Return what OpenAI calls a recording's format."""
    media_type = media_type.partition(";")[0]
    return _AUDIO_FORMATS.get(media_type, media_type.removeprefix("audio/"))


def plain_text(document: Document) -> str | None:
    """Return a document's text where it is text, else None."""
    if document.text is not None:
        return document.text
    source = document.source
    if not isinstance(source, Inline) or not source.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(source.data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def write_image(block: Image, losses: Losses) -> dict[str, Any] | None:
    """Write a picture."""
    if isinstance(block.source, FileRef):
        losses.lose("content.image", "a picture by the name of an uploaded file cannot be sent here")
        return None
    url: dict[str, Any] = {
        "url": block.source.url if isinstance(block.source, Link) else data_url(block.source)
    }
    if block.detail:
        url["detail"] = block.detail
    return {"type": "image_url", "image_url": url}


def write_audio(block: Audio, losses: Losses) -> dict[str, Any] | None:
    """Write a recording; only its bytes can be sent."""
    if not isinstance(block.source, Inline):
        losses.lose("content.audio", "only a recording's bytes can be sent here, no reference to it")
        return None
    told = {"data": block.source.data, "format": audio_format(block.source.media_type)}
    return {"type": "input_audio", "input_audio": told}


def write_video(block: Video, extras: tuple[str, ...], losses: Losses) -> dict[str, Any] | None:
    """Write a film, where the provider takes any."""
    if "video_url" not in extras or isinstance(block.source, FileRef):
        losses.lose("content.video")
        return None
    url = block.source.url if isinstance(block.source, Link) else data_url(block.source)
    return {"type": "video_url", "video_url": {"url": url}}


def write_document(block: Document, losses: Losses) -> dict[str, Any] | None:
    """Write a file; one that is text goes as text."""
    if block.cite:
        losses.lose("document.cite")
    if block.context:
        losses.lose("document.context")
    words = plain_text(block)
    if words is not None:
        return {"type": "text", "text": f"{block.title}\n\n{words}" if block.title else words}
    if isinstance(block.source, FileRef) and block.source.dialect == "openai":
        if block.title:
            losses.lose("document.title")
        return {"type": "file", "file": {"file_id": block.source.id}}
    if not isinstance(block.source, Inline):
        losses.lose("content.document", "only a file's bytes can be sent here, no reference to it")
        return None
    told = {"filename": block.title or "document.pdf", "file_data": data_url(block.source)}
    return {"type": "file", "file": told}
