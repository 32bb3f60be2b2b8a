"""Where an answer's text comes from: grounding and citation metadata, both ways.

Gemini tells of it beside the text, by the bytes of a part; the canonical form by characters, with the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxy.canonical import Citation


def read_citations(candidate: dict[str, Any], texts: list[str]) -> list[tuple[int, Citation]]:
    """Return the citations of a candidate, each with the place of its text among `texts`, the texts of its parts.

    Segments without a part's index count from the first text.
    """
    found: list[tuple[int, Citation]] = []
    grounding = candidate.get("groundingMetadata")
    if isinstance(grounding, dict):
        found += _grounded(grounding, texts)
    cited = candidate.get("citationMetadata")
    entries = cited.get("citations") or cited.get("citationSources") if isinstance(cited, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            found.append((0, _cited(entry, texts[0] if texts else "")))
    told = [(min(place, max(len(texts) - 1, 0)), citation) for place, citation in found if _says(citation)]
    return list(dict.fromkeys(told))


def _grounded(grounding: dict[str, Any], texts: list[str]) -> Iterable[tuple[int, Citation]]:
    chunks = [chunk if isinstance(chunk, dict) else {} for chunk in _list(grounding.get("groundingChunks"))]
    used: set[int] = set()
    for support in _list(grounding.get("groundingSupports")):
        segment = support.get("segment") if isinstance(support, dict) else None
        if not isinstance(segment, dict):
            continue
        place, start, end = _segment(segment, texts)
        for index in _list(support.get("groundingChunkIndices")):
            if type(index) is int and 0 <= index < len(chunks):
                used.add(index)
                yield place, _of_chunk(chunks[index], start, end)
    for index, chunk in enumerate(chunks):
        if index not in used:
            yield 0, _of_chunk(chunk, None, None)


def _says(citation: Citation) -> bool:
    """Say whether a citation names any source: some only mark a quotation."""
    return bool(citation.url or citation.title or citation.quote or citation.file_id)


def _segment(segment: dict[str, Any], texts: list[str]) -> tuple[int, int | None, int | None]:
    """Return the text of a segment and its characters there: parts are counted one by one, but not always told."""
    place = segment.get("partIndex")
    place = place if type(place) is int and 0 <= place < len(texts) else 0
    said = segment.get("text")
    start, end = segment.get("startIndex", 0), segment.get("endIndex")
    if place < len(texts) and type(start) is int and type(end) is int:
        raw = texts[place].encode("utf-8", "replace")
        before, inside = raw[:start].decode("utf-8", "ignore"), raw[start:end].decode("utf-8", "ignore")
        if not isinstance(said, str) or inside == said:
            return place, len(before), len(before) + len(inside)
    for where, text in enumerate(texts):
        if isinstance(said, str) and said and (at := text.find(said)) >= 0:
            return where, at, at + len(said)
    return place, None, None


def _of_chunk(chunk: dict[str, Any], start: int | None, end: int | None) -> Citation:
    for kind in ("web", "maps", "image", "retrievedContext"):
        told = chunk.get(kind)
        if isinstance(told, dict):
            page = told.get("pageNumber")
            url, title = _text(told, "uri") or _text(told, "sourceUri"), _text(told, "title")
            return Citation(
                kind="file" if kind == "retrievedContext" else "url",
                url=url,
                title=title,
                quote=_text(told, "text"),
                file_id=_text(told, "documentName") or _text(told, "fileSearchStore"),
                start=page if type(page) is int else None,
                text_start=start,
                text_end=end,
            )
    return Citation(kind="url", text_start=start, text_end=end)


def _cited(entry: dict[str, Any], text: str) -> Citation:
    """Return a citation of what the model quotes; its indexes are bytes of the text."""
    start, end = entry.get("startIndex", 0), entry.get("endIndex")
    url, title = _text(entry, "uri"), _text(entry, "title")
    if type(start) is not int or type(end) is not int:
        return Citation(kind="url", url=url, title=title)
    raw = text.encode("utf-8", "replace")
    before, inside = raw[:start].decode("utf-8", "ignore"), raw[start:end].decode("utf-8", "ignore")
    return Citation(
        kind="url", url=url, title=title, text_start=len(before), text_end=len(before) + len(inside)
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def write_grounding(cited: Iterable[tuple[int, str, tuple[Citation, ...]]]) -> dict[str, Any]:
    """Return the grounding metadata of texts: each with the index of its part."""
    chunks: list[dict[str, Any]] = []
    known: dict[tuple[Any, ...], int] = {}
    supports: list[dict[str, Any]] = []
    for part, text, citations in cited:
        for citation in citations:
            key = (
                citation.kind,
                citation.url,
                citation.title,
                citation.quote,
                citation.file_id,
                citation.start,
            )
            if key not in known:
                known[key] = len(chunks)
                chunks.append(_chunk(citation))
            if citation.text_start is not None:
                supports.append(_support(part, text, citation, known[key]))
    told: dict[str, Any] = {"groundingChunks": chunks} if chunks else {}
    return {**told, "groundingSupports": supports} if supports else told


def _chunk(citation: Citation) -> dict[str, Any]:
    if citation.kind == "url":
        return {"web": {"uri": citation.url, "title": citation.title}}
    told: dict[str, Any] = {"title": citation.title}
    if citation.url:
        told["uri"] = citation.url
    if citation.quote:
        told["text"] = citation.quote
    if citation.file_id:
        told["documentName"] = citation.file_id
    if citation.kind in ("page", "file") and citation.start is not None:
        told["pageNumber"] = citation.start
    return {"retrievedContext": told}


def _support(part: int, text: str, citation: Citation, chunk: int) -> dict[str, Any]:
    start = citation.text_start or 0  # never None here
    end = len(text) if citation.text_end is None else citation.text_end
    segment: dict[str, Any] = {"partIndex": part} if part else {}
    first = len(text[:start].encode("utf-8", "replace"))
    if first:
        segment["startIndex"] = first
    segment["endIndex"] = first + len(text[start:end].encode("utf-8", "replace"))
    segment["text"] = text[start:end]
    return {"segment": segment, "groundingChunkIndices": [chunk]}
