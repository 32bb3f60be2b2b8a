"""Sources of an answer's text, as `annotations` of kind `url_citation`; both ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llmproxy.canonical import Citation, Text


def read_annotations(annotations: Any) -> tuple[Citation, ...]:
    """Read a message's annotations; those of other kinds are passed over."""
    if type(annotations) is not list:
        return ()
    found = (_read(item) for item in annotations if type(item) is dict)
    return tuple(citation for citation in found if citation is not None)


def _read(item: dict[str, Any]) -> Citation | None:
    told = item.get("url_citation") if item.get("type") == "url_citation" else None
    if type(told) is not dict or type(told.get("url")) is not str:
        return None
    return Citation(
        "url",
        told["url"],
        _text(told, "title"),
        _text(told, "content"),
        text_start=_place(told, "start_index"),
        text_end=_place(told, "end_index"),
    )


def read_sources(body: dict[str, Any]) -> tuple[Citation, ...]:
    """Read the sources that Perplexity lists beside the whole answer."""
    results = body.get("search_results")
    if type(results) is list and results:
        return tuple(
            Citation("url", item["url"], _text(item, "title"))
            for item in results
            if type(item) is dict and type(item.get("url")) is str
        )
    urls = body.get("citations")
    return tuple(Citation("url", url) for url in urls if type(url) is str) if type(urls) is list else ()


def write_annotations(texts: Iterable[Text]) -> list[dict[str, Any]]:
    """Write the sources of texts that stand one after another; each supports its whole text if it says no more."""
    written: list[dict[str, Any]] = []
    start = 0
    for block in texts:
        end = start + len(block.text)
        written += write_citations(block.citations, start, end)
        start = end
    return written


def write_citations(citations: Sequence[Citation], start: int, end: int) -> list[dict[str, Any]]:
    """Write the sources of a text that stands from `start` to `end`; only web pages have a place."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start if citation.text_start is None else citation.text_start,
                "end_index": end if citation.text_end is None else citation.text_end,
                "title": citation.title,
                "url": citation.url,
                **({"content": citation.quote} if citation.quote else {}),
            },
        }
        for citation in citations
        if citation.url
    ]


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if type(value) is str else ""


def _place(item: dict[str, Any], key: str) -> int | None:
    value = item.get(key)
    return value if type(value) is int else None
