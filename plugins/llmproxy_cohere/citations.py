"""Citations, both ways: Cohere names the places of an answer's text, each with the documents or tool results behind it.

Documents that the gateway sent are called `doc:0`, `doc:1`, so that a citation of one is found again by its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import orjson

from llmproxy.canonical import Citation

_NUMBERED: Final = re.compile(r"doc:(\d{1,6})")
#: Where a document's own words may stand.
_TEXTS: Final = ("text", "snippet", "content")
#: A caller's documents by their place: what an answer's citations are told with.
Documents = Sequence[dict[str, Any]]


def document_name(number: int) -> str:
    """Return what the document of that number is called."""
    return f"doc:{number}"


def read_citations(items: Any, offset: int = 0) -> tuple[Citation, ...]:
    """Read a list of citations of a text that begins at `offset` of the answer's; one for each source."""
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        return ()
    return tuple(citation for item in items if isinstance(item, dict) for citation in _read(item, offset))


def _read(item: dict[str, Any], offset: int) -> Iterator[Citation]:
    start, end = _count(item, "start"), _count(item, "end")
    start, end = None if start is None else start + offset, None if end is None else end + offset
    sources = item.get("sources")
    known = [each for each in sources if isinstance(each, dict)] if isinstance(sources, list) else []
    for source in known or [{}]:
        yield _source(source, start, end)


def _source(source: dict[str, Any], start: int | None, end: int | None) -> Citation:
    name = _text(source, "id")
    told = source.get("document")
    if source.get("type") == "tool":
        output = source.get("tool_output")
        quote = _quote(output) or (orjson.dumps(output).decode() if isinstance(output, dict) else "")
        return Citation(kind="search", file_id=name, quote=quote, text_start=start, text_end=end)
    document = told if isinstance(told, dict) else {}
    quote, numbered = _quote(document), _NUMBERED.fullmatch(name)
    place: dict[str, Any] = {"kind": "url" if _text(document, "url") else "file"}
    if numbered is not None and not _text(document, "url"):
        # All of it is what is cited: Cohere does not say which part.
        place = {"kind": "char", "document": int(numbered[1]), "start": 0, "end": len(quote)}
    return Citation(
        **place,
        url=_text(document, "url"),
        title=_text(document, "title"),
        quote=quote,
        file_id=name,
        text_start=start,
        text_end=end,
    )


def write_citations(
    citations: Iterable[Citation], text: str, index: int, documents: Documents = (), offset: int = 0
) -> list[dict[str, Any]]:
    """Write the citations of one text, which is the answer's content part `index`; those of one place together."""
    written = []
    for (start, end), sources in groupby(citations, lambda each: _span(each, text, offset)):
        written.append(
            {
                "start": start,
                "end": end,
                "text": text[start:end],
                "sources": [_written(source, documents) for source in sources],
                "content_index": index,
                "type": "TEXT_CONTENT",
            }
        )
    return written


def _span(citation: Citation, text: str, offset: int) -> tuple[int, int]:
    start = 0 if citation.text_start is None else max(0, citation.text_start - offset)
    end = len(text) if citation.text_end is None else max(start, citation.text_end - offset)
    return start, end


def _written(citation: Citation, documents: Documents) -> dict[str, Any]:
    if citation.kind == "search" and citation.document is None and not citation.url:
        return {"type": "tool", "id": citation.file_id, "tool_output": _output(citation.quote)}
    if citation.document is not None and 0 <= citation.document < len(documents):
        known = documents[citation.document]
        name = known.get("id") or document_name(citation.document)
        data = known.get("data")
        return {
            "type": "document",
            "id": name,
            "document": {"id": name, **(data if type(data) is dict else {})},
        }
    name = citation.file_id or citation.url
    told = {"id": name, "title": citation.title, "url": citation.url, "snippet": citation.quote}
    return {"type": "document", "id": name, "document": {key: value for key, value in told.items() if value}}


def _output(quote: str) -> dict[str, Any]:
    try:
        told = orjson.loads(quote)
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) else {"content": quote}


def _quote(document: Any) -> str:
    found = (_text(document, key) for key in _TEXTS) if isinstance(document, dict) else ()
    return next(filter(None, found), "")


def _text(value: dict[str, Any], key: str) -> str:
    told = value.get(key)
    return told if isinstance(told, str) else ""


def _count(value: dict[str, Any], key: str) -> int | None:
    told = value.get(key)
    return told if type(told) is int and told >= 0 else None
