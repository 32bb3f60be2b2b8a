"""What batches tell of use: nothing when they are begun, line by line in their results."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmproxy.plugin import Exchange, LinesTap, ObjectTap, Reply, Spent, Tap, Usage, plain_path
from llmproxy_anthropic.usage import read_usage

#: Ends of paths that begin a batch, or end it.
BEGINS: Final = ("/messages/batches", "/cancel")

_RESULTS: Final = re.compile(r".*/messages/batches/([^/]+)/results")


class _Message(msgspec.Struct, gc=False):
    """An answer among results."""

    model: str = ""
    usage: dict[str, Any] | None = None


class _Result(msgspec.Struct, gc=False):
    """What came of one request of a batch."""

    message: _Message | None = None


class _Line(msgspec.Struct, gc=False):
    """A line of results."""

    custom_id: str
    result: _Result


_lines: Final = msgspec.json.Decoder(_Line)


def fetching_tap(exchange: Exchange, reply: Reply) -> Tap | None:
    """Return what reads the results of a batch, None where something else is fetched."""
    if exchange.request.method != "GET" or reply.status != 200:
        return None
    found = _RESULTS.fullmatch(plain_path(exchange.request.path))
    return None if found is None else LinesTap(exchange, found[1], read_line)


def beginning_tap(exchange: Exchange) -> Tap:
    """Return what reads a batch that is begun, or ended."""
    return ObjectTap(exchange, read_batch)


def read_batch(told: dict[str, Any]) -> Usage | None:
    """Read a batch: its object tells nothing of use."""
    return Usage() if told.get("type") == "message_batch" else None


def read_line(line: bytes) -> Spent | None:
    """Read one line of a batch's results."""
    message = _lines.decode(line).result.message
    used = None if message is None else read_usage(message.usage)
    return None if message is None or used is None else Spent(message.model, used)
