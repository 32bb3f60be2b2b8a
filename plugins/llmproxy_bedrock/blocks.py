"""Reads content blocks, of requests and of answers."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Document,
    Foreign,
    Image,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_bedrock.citations import read_citation
from llmproxy_bedrock.media import DOCUMENTS, IMAGES, SOUNDS, VIDEOS, media_type_of
from llmproxy_bedrock.sources import read_source
from llmproxy_bedrock.thoughts import OWN, THOUGHTS, read_thought
from llmproxy_bedrock.values import (
    a_list,
    a_text,
    a_text_or_nothing,
    an_object,
    refuse,
    tell_rest,
    the_one,
)

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_Markable = Text | Image | Audio | Video | Document | ToolCall | ToolResult
_GUARDED: Final = "guardrails are Amazon's own: the text stays, its marks are left out"


def read_content(content: Any, where: str, losses: Losses | None) -> list[Block]:
    """Read a list of blocks; a cache point marks the block that it follows."""
    out: list[Block] = []
    for value in a_list(content, where):
        read_block(value, f"{where}[]", losses, out)
    return out


def read_block(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    """Append what one block says; a block that only Amazon knows is carried as it is."""
    if losses is None:
        value = _known(value, _READERS)
        if not value:
            return
    kind, told = the_one(an_object(value, where), where)
    reader = _READERS.get(kind)
    if reader is None:
        out.append(Foreign(origin=OWN, value=value))
    else:
        reader(told, f"{where}.{kind}", losses, out)


def read_cache(value: Any, where: str) -> CacheMark:
    """Read a cache point."""
    return CacheMark(ttl=a_text_or_nothing(an_object(value, where).get("ttl"), f"{where}.ttl"))


def _cache(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    mark = read_cache(value, where)
    if out and isinstance(out[-1], _Markable):
        out[-1] = msgspec.structs.replace(out[-1], cache=mark)
    elif losses is not None:
        losses.add(where, "it follows nothing that could be marked")


def _text(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    if text := a_text(value, where):
        out.append(Text(text=text))


def _media(
    kind: Callable[..., Image | Video | Audio], table: dict[str, str], family: str
) -> Callable[[Any, str, Losses | None, list[Block]], None]:
    """Return what reads a block of pictures, films or sound; `family` is the first part of their media types."""

    def read(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
        told = an_object(value, where)
        format = media_type_of(a_text(told.get("format"), f"{where}.format"), table, family)
        out.append(kind(source=read_source(told.get("source"), format, f"{where}.source", losses)))
        tell_rest(told, ("format", "source"), where, losses)

    return read


_image: Final = _media(Image, IMAGES, "image")


def _document(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    told = an_object(value, where)
    given, place = an_object(told.get("source"), f"{where}.source"), f"{where}.source"
    format = media_type_of(a_text_or_nothing(told.get("format"), f"{where}.format"), DOCUMENTS, "application")
    source, text = None, None
    kind, inner = the_one(given, place)
    if kind == "text":
        text = a_text(inner, f"{place}.text")
    elif kind == "content":
        text = _texts(inner, f"{place}.content")
        if losses is not None and len(inner) > 1:
            losses.add(f"{place}.content", "its pieces became one text")
    else:
        source = read_source(given, format or "application/octet-stream", place, losses)
    out.append(
        Document(
            source=source,
            text=text,
            title=a_text_or_nothing(told.get("name"), f"{where}.name"),
            context=a_text_or_nothing(told.get("context"), f"{where}.context"),
            cite=_cites(told.get("citations"), f"{where}.citations"),
        )
    )
    tell_rest(told, ("format", "name", "source", "context", "citations"), where, losses)


def _texts(value: Any, where: str) -> str:
    pieces = [an_object(each, f"{where}[]") for each in a_list(value, where)]
    return "\n".join(a_text_or_nothing(piece.get("text"), f"{where}[].text") for piece in pieces)


def _cites(value: Any, where: str) -> bool:
    return value is not None and an_object(value, where).get("enabled") is True


def _search_result(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    told = an_object(value, where)
    out.append(
        Document(
            text=_texts(told.get("content"), f"{where}.content"),
            title=a_text_or_nothing(told.get("title"), f"{where}.title"),
            context=a_text_or_nothing(told.get("source"), f"{where}.source"),
            cite=_cites(told.get("citations"), f"{where}.citations"),
        )
    )
    if losses is not None:
        losses.add(where, "a search result became a document, its source the document's context")
    tell_rest(told, ("content", "title", "source", "citations"), where, losses)


def _known(value: Any, kinds: Container[str]) -> Any:
    """Return of an answer's union the member that is known here: nothing else is one, and something new may stand by."""
    if not isinstance(value, dict):
        return value
    told = {key: each for key, each in value.items() if each is not None}
    known = next((key for key in told if key in kinds), None)
    return told if known is None else {known: told[known]}


def is_hosted(told: dict[str, Any]) -> bool:
    """Say whether a call or a result is of a tool that Amazon runs; an ordinary call may say so of itself."""
    return told.get("type") not in (None, "tool_use", "tool_result")


def _tool_use(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    told = an_object(value, where)
    if is_hosted(told):
        out.append(Foreign(origin=OWN, value={"toolUse": told}))
        return
    arguments = _arguments(told.get("input"))
    out.append(
        ToolCall(
            id=a_text_or_nothing(told.get("toolUseId"), f"{where}.toolUseId"),
            name=a_text(told.get("name"), f"{where}.name"),
            arguments=arguments,
        )
    )
    tell_rest(told, ("toolUseId", "name", "input", "type"), where, losses)


def _arguments(given: Any) -> str:
    """Return a call's arguments as JSON text, which is how some write them."""
    if isinstance(given, str) and given.strip().startswith("{"):
        return given
    return orjson.dumps(given).decode() if given else "{}"


def _tool_result(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    told = an_object(value, where)
    if is_hosted(told):
        out.append(Foreign(origin=OWN, value={"toolResult": told}))
        return
    content = told.get("content")
    inner = [] if content is None else read_content(content, f"{where}.content", losses)
    out.append(
        ToolResult(
            id=a_text_or_nothing(told.get("toolUseId"), f"{where}.toolUseId"),
            content=tuple(map(_unmarked, inner)),
            is_error=told.get("status") == "error",
            cache=getattr(inner[-1], "cache", None) if inner else None,
        )
    )
    tell_rest(told, ("toolUseId", "content", "status", "type"), where, losses)


def _unmarked(block: Block) -> Block:
    """Return a block of a result without its mark, which is one on the whole."""
    return msgspec.structs.replace(block, cache=None) if getattr(block, "cache", None) is not None else block


def _json(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    out.append(Text(text=orjson.dumps(value).decode()))


def _guarded(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    kind, told = the_one(an_object(value, where), where)
    if losses is not None:
        losses.add(where, _GUARDED)
    if kind == "text":
        _text(an_object(told, f"{where}.text").get("text"), f"{where}.text.text", losses, out)
    elif kind == "image":
        _image(told, f"{where}.image", losses, out)
    else:
        refuse(where, "must hold text or image")


def _thought(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    if losses is None:
        value = _known(value, THOUGHTS)
        if isinstance(value, dict) and value.keys().isdisjoint(THOUGHTS):
            return  # an answer may tell of a thought in a way that is not known yet
    thought = read_thought(value, where, losses)
    if thought is not None:
        out.append(thought)


def _cited(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    told = an_object(value, where)
    pieces = [
        an_object(each, f"{where}.content[]")
        for each in a_list(told.get("content") or [], f"{where}.content")
    ]
    text = "".join(a_text_or_nothing(piece.get("text"), f"{where}.content[].text") for piece in pieces)
    found = [read_citation(each) for each in a_list(told.get("citations") or [], f"{where}.citations")]
    if None in found and losses is not None:
        losses.add(f"{where}.citations", "it is of a kind that no other provider knows")
    if text:
        out.append(Text(text=text, citations=tuple(each for each in found if each is not None)))


_READERS: Final[dict[str, Callable[[Any, str, Losses | None, list[Block]], None]]] = {
    "text": _text,
    "image": _image,
    "video": _media(Video, VIDEOS, "video"),
    "audio": _media(Audio, SOUNDS, "audio"),
    "document": _document,
    "searchResult": _search_result,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "json": _json,
    "guardContent": _guarded,
    "cachePoint": _cache,
    "reasoningContent": _thought,
    "citationsContent": _cited,
}
