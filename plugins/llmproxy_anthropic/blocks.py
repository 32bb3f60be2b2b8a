"""Reads content blocks, of requests and of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Block,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Foreign,
    Image,
    Inline,
    Link,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy_anthropic.citations import read_citation
from llmproxy_anthropic.thoughts import OWN, thought_of
from llmproxy_anthropic.values import (
    a_list,
    a_text,
    a_text_or_nothing,
    an_object,
    refuse,
    tell_rest,
)

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_PLAIN_TEXT: Final = {"type", "text"}


def read_content(content: Any, where: str, losses: Losses | None) -> list[Block]:
    """Read a string or a list of blocks; empty text, which Anthropic itself refuses, is left out."""
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    out: list[Block] = []
    for value in a_list(content, where):
        read_block(value, where + "[]", losses, out)
    return out


def read_block(value: Any, where: str, losses: Losses | None, out: list[Block]) -> None:
    """Append what one block says; a block that only Anthropic knows is carried as it is."""
    block = an_object(value, where)
    kind = block.get("type")
    if not isinstance(kind, str):
        refuse(f"{where}.type", "Field required")
    reader = _READERS.get(kind)
    if reader is None:
        out.append(Foreign(origin=OWN, value=block))
    else:
        reader(block, where, losses, out)


def read_cache(value: Any, where: str) -> CacheMark | None:
    """Read a cache marker."""
    if value is None:
        return None
    return CacheMark(ttl=a_text_or_nothing(an_object(value, where).get("ttl"), f"{where}.ttl"))


def _text(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    text = a_text(block.get("text"), f"{where}.text")
    if not text:
        return
    if block.keys() == _PLAIN_TEXT:
        out.append(Text(text=text))
        return
    cache = read_cache(block.get("cache_control"), f"{where}.cache_control")
    citations = _citations(block.get("citations"), f"{where}.citations", losses)
    out.append(Text(text=text, cache=cache, citations=citations))
    tell_rest(block, ("type", "text", "cache_control", "citations"), where, losses)


def _citations(value: Any, where: str, losses: Losses | None) -> tuple[Citation, ...]:
    if not value:
        return ()
    found = [read_citation(each) for each in a_list(value, where)]
    if None in found:
        _tell(losses, where, "it is of a kind that no other provider knows")
    return tuple(citation for citation in found if citation is not None)


def _image(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    source = _source(block.get("source"), f"{where}.source")
    if source is None:
        refuse(f"{where}.source.type", "Input should be base64, url or file")
    out.append(Image(source=source, cache=read_cache(block.get("cache_control"), f"{where}.cache_control")))
    tell_rest(block, ("type", "source", "cache_control"), where, losses)


def _source(value: Any, where: str) -> Source | None:
    """Read bytes, a URL or a file; None for other kinds."""
    source = an_object(value, where)
    kind = source.get("type")
    if kind == "base64":
        return Inline(
            media_type=a_text(source.get("media_type"), f"{where}.media_type"),
            data=a_text(source.get("data"), f"{where}.data"),
        )
    if kind == "url":
        return Link(url=a_text(source.get("url"), f"{where}.url"))
    if kind == "file":
        return FileRef(id=a_text(source.get("file_id"), f"{where}.file_id"), dialect=OWN)
    return None


def _document(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    told, place = an_object(block.get("source"), f"{where}.source"), f"{where}.source"
    source, text, beside = _source(told, place), None, list[Block]()
    if told.get("type") == "text":
        text = a_text(told.get("data"), f"{place}.data")
    elif told.get("type") == "content":
        text, beside = _apart(told.get("content"), f"{place}.content", losses)
    elif source is None:
        refuse(f"{place}.type", "Input should be base64, url, file, text or content")
    out.append(
        Document(
            source=source,
            text=text,
            title=a_text_or_nothing(block.get("title"), f"{where}.title"),
            context=a_text_or_nothing(block.get("context"), f"{where}.context"),
            cite=_cites(block, where),
            cache=read_cache(block.get("cache_control"), f"{where}.cache_control"),
        )
    )
    out += beside
    tell_rest(block, ("type", "source", "title", "context", "citations", "cache_control"), where, losses)


def _apart(content: Any, where: str, losses: Losses | None) -> tuple[str, list[Block]]:
    """Return a document's text as one, and the pictures in it, which then stand behind it."""
    blocks = _plainly(read_content(content, where, losses), f"{where}[]", losses)
    text = "\n".join(block.text for block in blocks if isinstance(block, Text))
    pictures: list[Block] = [block for block in blocks if not isinstance(block, Text)]
    if pictures or len(blocks) > 1:
        _tell(losses, where, "its blocks became one text, its pictures stand behind it")
    return text, pictures


def _plainly(blocks: list[Block], where: str, losses: Losses | None) -> list[Block]:
    """Take marks and citations off blocks within another, where nobody else has a place for them; tell of each."""
    plain = []
    for block in blocks:
        less: dict[str, Any] = {}
        if isinstance(block, Text | Image | Document) and block.cache is not None:
            _tell(losses, f"{where}.cache_control", "a marker within is one on the whole, if it stands last")
            less["cache"] = None
        if isinstance(block, Text) and block.citations:
            _tell(losses, f"{where}.citations", "citations count in answers only")
            less["citations"] = ()
        if isinstance(block, Document) and block.cite:
            _tell(losses, f"{where}.citations", "what tools give is cited nowhere else")
            less["cite"] = False
        plain.append(msgspec.structs.replace(block, **less) if less else block)
    return plain


def _tell(losses: Losses | None, where: str, why: str) -> None:
    if losses is not None:
        losses.add(where, why)


def _last_mark(blocks: list[Block]) -> CacheMark | None:
    return getattr(blocks[-1], "cache", None) if blocks else None


def _cites(block: dict[str, Any], where: str) -> bool:
    told = block.get("citations")
    return told is not None and an_object(told, f"{where}.citations").get("enabled") is True


def _search_result(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    text, _ = _apart(block.get("content"), f"{where}.content", losses)
    out.append(
        Document(
            text=text,
            title=a_text_or_nothing(block.get("title"), f"{where}.title"),
            context=a_text_or_nothing(block.get("source"), f"{where}.source"),
            cite=_cites(block, where),
            cache=read_cache(block.get("cache_control"), f"{where}.cache_control"),
        )
    )
    _tell(losses, where, "a search result became a document, its source the document's context")
    tell_rest(block, ("type", "content", "title", "source", "citations", "cache_control"), where, losses)


def _tool_use(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    given = block.get("input")
    arguments = "{}" if not given else orjson.dumps(an_object(given, f"{where}.input")).decode()
    out.append(
        ToolCall(
            id=a_text_or_nothing(block.get("id"), f"{where}.id"),
            name=a_text(block.get("name"), f"{where}.name"),
            arguments=arguments,
            cache=read_cache(block.get("cache_control"), f"{where}.cache_control"),
        )
    )
    known: tuple[str, ...] = ("type", "id", "name", "input", "cache_control")
    caller = block.get("caller")
    if isinstance(caller, dict) and caller.get("type") == "direct":
        known = (*known, "caller")  # the model itself calls, as everywhere
    tell_rest(block, known, where, losses)


def _tool_result(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    content = block.get("content")
    is_error = block.get("is_error")
    inner = [] if content is None else read_content(content, f"{where}.content", losses)
    out.append(
        ToolResult(
            id=a_text_or_nothing(block.get("tool_use_id"), f"{where}.tool_use_id"),
            content=tuple(_plainly(inner, f"{where}.content[]", losses)),
            is_error=is_error is True,
            cache=read_cache(block.get("cache_control"), f"{where}.cache_control") or _last_mark(inner),
        )
    )
    tell_rest(block, ("type", "tool_use_id", "content", "is_error", "cache_control"), where, losses)


def _thinking(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    text = a_text_or_nothing(block.get("thinking"), f"{where}.thinking")
    signature = a_text_or_nothing(block.get("signature"), f"{where}.signature")
    if text or signature:
        out.append(thought_of(text, signature))
    tell_rest(block, ("type", "thinking", "signature"), where, losses)


def _redacted(block: dict[str, Any], where: str, losses: Losses | None, out: list[Block]) -> None:
    out.append(thought_of("", a_text(block.get("data"), f"{where}.data"), redacted=True))
    tell_rest(block, ("type", "data"), where, losses)


_READERS: Final[dict[str, Callable[[dict[str, Any], str, Losses | None, list[Block]], None]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
