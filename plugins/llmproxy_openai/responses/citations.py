"""Annotations of a text: sources, as this API writes them and as the canonical form holds them."""

from __future__ import annotations

from typing import Any

from llmproxy.canonical import Citation


def read_citation(told: Any) -> Citation | None:
    """Read one annotation; None where it is of a kind that is not known, or no object."""
    kind = told.get("type") if isinstance(told, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return None if reader is None else reader(told)


def write_citation(citation: Citation, length: int) -> dict[str, Any]:
    """Write one annotation of a text of this length, which it supports as a whole if it does not say which part."""
    start = citation.text_start or 0
    end = length if citation.text_end is None else citation.text_end
    if citation.file_id and citation.opaque and not citation.url:
        return {
            "type": "container_file_citation",
            "container_id": citation.opaque,
            "file_id": citation.file_id,
            "filename": citation.title,
            "start_index": start,
            "end_index": end,
        }
    if citation.url:
        return {
            "type": "url_citation",
            "start_index": start,
            "end_index": end,
            "url": citation.url,
            "title": citation.title,
        }
    if citation.kind == "file" and not citation.title:
        return {"type": "file_path", "file_id": citation.file_id, "index": citation.document or 0}
    return {
        "type": "file_citation",
        "index": citation.document or 0,
        "file_id": citation.file_id,
        "filename": citation.title,
    }


def _of_url(told: dict[str, Any]) -> Citation:
    return Citation(
        kind="url",
        url=_text(told, "url"),
        title=_text(told, "title"),
        text_start=_place(told, "start_index"),
        text_end=_place(told, "end_index"),
    )


def _of_file(told: dict[str, Any]) -> Citation:
    return Citation(
        kind="file",
        file_id=_text(told, "file_id"),
        title=_text(told, "filename"),
        document=_place(told, "index"),
    )


def _of_container(told: dict[str, Any]) -> Citation:
    return Citation(
        kind="file",
        file_id=_text(told, "file_id"),
        title=_text(told, "filename"),
        text_start=_place(told, "start_index"),
        text_end=_place(told, "end_index"),
        opaque=_text(told, "container_id"),
    )


_READERS = {
    "url_citation": _of_url,
    "file_citation": _of_file,
    "file_path": _of_file,
    "container_file_citation": _of_container,
}


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _place(told: dict[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int else None
