"""Citations, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmproxy.canonical import Citation


class _Place(NamedTuple):
    """How one kind of place is written: its type and the keys of its document, start and end."""

    kind: str
    type: str
    document: str
    title: str
    start: str
    end: str


_PLACES: Final = (
    _Place("char", "char_location", "document_index", "document_title", "start_char_index", "end_char_index"),
    _Place(
        "page", "page_location", "document_index", "document_title", "start_page_number", "end_page_number"
    ),
    _Place(
        "block",
        "content_block_location",
        "document_index",
        "document_title",
        "start_block_index",
        "end_block_index",
    ),
    _Place(
        "search",
        "search_result_location",
        "search_result_index",
        "title",
        "start_block_index",
        "end_block_index",
    ),
)
_BY_TYPE: Final = {place.type: place for place in _PLACES}
_BY_KIND: Final = {place.kind: place for place in _PLACES}
_WEB: Final = "web_search_result_location"


def read_citation(value: Any) -> Citation | None:
    """Read one citation; None where it is of a kind that nobody knows."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind == _WEB:
        return Citation(
            kind="url",
            url=_text(value, "url"),
            title=_text(value, "title"),
            quote=_text(value, "cited_text"),
            opaque=_text(value, "encrypted_index"),
        )
    place = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if place is None:
        return None
    return Citation(
        kind=place.kind,
        url=_text(value, "source"),
        title=_text(value, place.title),
        quote=_text(value, "cited_text"),
        document=_count(value, place.document),
        file_id=_text(value, "file_id"),
        start=_count(value, place.start),
        end=_count(value, place.end),
    )


def write_citation(citation: Citation, *, asked: bool) -> dict[str, Any] | None:
    """Write one citation; None where the dialect cannot tell it.

    `asked` is for a provider, who takes back only what it once gave: a web page needs its opaque mark.
    """
    place = _BY_KIND.get(citation.kind)
    if place is None or citation.document is None or citation.start is None or citation.end is None:
        return None if asked and not citation.opaque else _web(citation)
    written: dict[str, Any] = {"type": place.type, "cited_text": citation.quote}
    if citation.kind == "search":
        written["source"] = citation.url
    elif citation.file_id and not asked:
        written["file_id"] = citation.file_id
    return written | {
        place.document: citation.document,
        place.title: citation.title or None,
        place.start: citation.start,
        place.end: citation.end,
    }


def _web(citation: Citation) -> dict[str, Any] | None:
    if not citation.url:
        return None
    return {
        "type": _WEB,
        "cited_text": citation.quote,
        "url": citation.url,
        "title": citation.title or None,
        "encrypted_index": citation.opaque,
    }


def _text(value: Mapping[str, Any], key: str) -> str:
    told = value.get(key)
    return told if isinstance(told, str) else ""


def _count(value: Mapping[str, Any], key: str) -> int | None:
    told = value.get(key)
    return told if type(told) is int else None
