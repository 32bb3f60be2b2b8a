"""Citations, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmproxy.canonical import Citation

#: How each kind of place is called, and the key of the document it is in.
_PLACES: Final = {
    "char": ("documentChar", "documentIndex"),
    "page": ("documentPage", "documentIndex"),
    "block": ("documentChunk", "documentIndex"),
    "search": ("searchResultLocation", "searchResultIndex"),
}
_KINDS: Final = {name: kind for kind, (name, _) in _PLACES.items()}


def read_citation(value: Any) -> Citation | None:
    """Read one citation; None where it is of a kind that nobody knows."""
    if not isinstance(value, dict):
        return None
    title, quote, source = _text(value, "title"), _quote(value.get("sourceContent")), _text(value, "source")
    location = value.get("location")
    for name, place in location.items() if isinstance(location, dict) else ():
        if not isinstance(place, dict):
            continue
        if name == "web":
            return Citation(kind="url", url=_text(place, "url") or source, title=title, quote=quote)
        if name in _KINDS:
            kind = _KINDS[name]
            return Citation(
                kind=kind,
                url=source,
                title=title,
                quote=quote,
                document=_count(place, _PLACES[kind][1]),
                start=_count(place, "start"),
                end=_count(place, "end"),
            )
    return Citation(kind="url", url=source, title=title, quote=quote) if source or title or quote else None


def write_citation(citation: Citation) -> dict[str, Any] | None:
    """Write one citation; None where the dialect cannot tell it."""
    written: dict[str, Any] = {}
    if citation.title:
        written["title"] = citation.title
    if citation.quote:
        written["sourceContent"] = [{"text": citation.quote}]
    place = _PLACES.get(citation.kind)
    if place is None or citation.document is None:
        if not citation.url:
            return None
        return written | {"location": {"web": {"url": citation.url}}}
    name, document = place
    if citation.url:
        written["source"] = citation.url
    told = {document: citation.document, "start": citation.start, "end": citation.end}
    return written | {"location": {name: {key: value for key, value in told.items() if value is not None}}}


def _quote(value: Any) -> str:
    pieces = value if isinstance(value, list) else []
    return "".join(_text(piece, "text") for piece in pieces if isinstance(piece, dict))


def _text(value: Mapping[str, Any], key: str) -> str:
    told = value.get(key)
    return told if isinstance(told, str) else ""


def _count(value: Mapping[str, Any], key: str) -> int | None:
    told = value.get(key)
    return told if type(told) is int else None
