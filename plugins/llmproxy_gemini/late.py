"""What is told later of calls that were begun earlier: batches, files of their results, live sessions."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmproxy.plugin import (
    BATCH,
    Belated,
    Exchange,
    LinesTap,
    MessagesTap,
    ObjectTap,
    Reply,
    Spent,
    Tap,
    Usage,
    plain_path,
    summed,
)
from llmproxy_gemini.paths import after_version
from llmproxy_gemini.usage import read_usage

_BATCH: Final = re.compile(r"batches/[^/:]+")
_RESULTS: Final = re.compile(r"(files/[^/:]+):download")
_MODELS: Final = "models/"


class _Answer(msgspec.Struct, gc=False):
    """An answer among results."""

    model: str = msgspec.field(default="", name="modelVersion")
    usage: dict[str, Any] | None = msgspec.field(default=None, name="usageMetadata")


class _Line(msgspec.Struct, gc=False):
    """A line of results."""

    key: str
    response: _Answer | None = None


_lines: Final = msgspec.json.Decoder(_Line)


def fetching_tap(exchange: Exchange, reply: Reply) -> Tap | None:
    """Return what reads the answer to a call that fetches something, or the messages of a session."""
    if exchange.upgraded:
        return MessagesTap(exchange, b'"usageMetadata"', read_message) if reply.status == 101 else None
    if exchange.request.method != "GET" or reply.status != 200:
        return None
    path = after_version(plain_path(exchange.request.path))
    if (found := _RESULTS.fullmatch(path)) is not None:
        return LinesTap(exchange, found[1], read_line)
    return ObjectTap(exchange, read_batch) if _BATCH.fullmatch(path) else None


def beginning_tap(exchange: Exchange) -> Tap:
    """Return what reads the answer to a call that begins a batch."""
    return ObjectTap(exchange, read_begun)


def read_begun(told: dict[str, Any]) -> Usage | None:
    """Read a batch that is begun: it has used nothing yet."""
    return Usage() if str(told.get("name")).startswith("batches/") else None


def read_batch(told: dict[str, Any]) -> Belated | None:
    """Read a batch that may hold its results; those of another are in a file."""
    metadata = told.get("metadata") or {}
    output = told.get("response") or metadata.get("output") or {}
    inlined = output.get("inlinedResponses") or {}
    asked = str(metadata.get("model") or "").removeprefix(_MODELS)
    spent: dict[str, list[Usage]] = {}
    for each in inlined.get("inlinedResponses") or ():
        answer = each.get("response") or {}
        used = read_usage(answer.get("usageMetadata") or {})
        if used is not None:
            spent.setdefault(answer.get("modelVersion") or asked, []).append(used)
    found = tuple(Spent(model, summed(usages)) for model, usages in spent.items())
    return Belated(told["name"], found, BATCH) if found else None


def read_line(line: bytes) -> Spent | None:
    """Read one line of a batch's results."""
    answer = _lines.decode(line).response
    used = None if answer is None or answer.usage is None else read_usage(answer.usage)
    return None if answer is None or used is None else Spent(answer.model.removeprefix(_MODELS), used)


def read_message(told: dict[str, Any]) -> Spent | None:
    """Read a message of a session: what one turn used, all that was said before with it."""
    usage = told.get("usageMetadata")
    used = read_usage(usage) if isinstance(usage, dict) else None
    return None if used is None else Spent("", used)
