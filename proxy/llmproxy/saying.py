"""What an answer says, by field, apart from all that it is told with; of a stream each field's pieces joined. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

#: Fields that hold what a stream tells piece by piece.
_PIECES: Final = frozenset(
    {
        "content",
        "text",
        "delta",
        "arguments",
        "reasoning_content",
        "reasoning",
        "thinking",
        "partial_json",
        "refusal",
        "transcript",
        "output_text",
        "summary",
        "input",
        "input_json",
        "signature",
        "completion",
        "response",
    }
)
_SCALARS: Final = ("index", "output_index", "content_index", "summary_index", "item_id", "contentBlockIndex")


def said(data: bytes, *, streamed: bool) -> dict[str, str]:
    """Return an answer's texts, by where they stand; of one that is neither a stream nor JSON, nothing."""
    joined: dict[str, list[str]] = {}
    for event in _events(data) if streamed else _value(data):
        for name, text in _pieces(event):
            joined.setdefault(name, []).append(text)
    return {name: "".join(parts) for name, parts in joined.items()}


def _value(data: bytes) -> Iterator[Any]:
    try:
        yield orjson.loads(data)
    except orjson.JSONDecodeError:
        return


def _events(data: bytes) -> Iterator[Any]:
    """Give the data of a stream's events, its lines or its frames: parsed where it is JSON, else its text."""
    if data[:1] == b"\0":  # a frame of AWS begins with its length
        yield from _frames(data)
        return
    for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        text = line[5:].strip() if line.startswith(b"data:") else line if line.startswith(b"{") else b""
        if text and text != b"[DONE]":
            try:
                yield orjson.loads(text)
            except orjson.JSONDecodeError:
                yield text.decode("utf-8", "replace")


def _frames(data: bytes) -> Iterator[Any]:
    from llmproxy.eventstream import BrokenEventStream, EventStreamDecoder  # noqa: PLC0415  # few streams are such

    try:
        for message in EventStreamDecoder().feed(data):
            yield message.json()
    except (BrokenEventStream, orjson.JSONDecodeError):
        return


def _pieces(event: Any, name: str = "", depth: int = 16) -> Iterator[tuple[str, str]]:
    """Give the texts of an event that belong to what the stream tells, by where they stand."""
    if depth == 0:
        return
    if isinstance(event, str):
        if not name or name.rpartition(".")[2].partition("[")[0] in _PIECES:
            yield name or "data", event
    elif isinstance(event, dict):
        marks = ",".join(str(event[each]) for each in _SCALARS if isinstance(event.get(each), int | str))
        inside = f"{name}[{marks}]" if marks else name
        for key, value in event.items():
            yield from _pieces(value, f"{inside}.{key}" if inside else key, depth - 1)
    elif isinstance(event, list):
        for item in event:
            yield from _pieces(item, name, depth - 1)
