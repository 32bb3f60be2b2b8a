"""What is told later of calls that were begun earlier: batches, their results, answers in the background, sessions.

A batch tells its usage in its own object once it has ended (OpenAI, Azure); its file of results tells it line by line,
and is all that some servers have (Groq, Mistral). Whichever is fetched first counts: both go by the file's name.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

import msgspec

from llmproxy.plugin import (
    BATCH,
    TOLD,
    Belated,
    Exchange,
    LinesTap,
    MessagesTap,
    ObjectTap,
    Reply,
    Spent,
    Tap,
    Usage,
    WholeTap,
    plain_path,
)
from llmproxy_openai.calls import is_responses
from llmproxy_openai.taps import StreamTap
from llmproxy_openai.usage import USAGE, read_usage

#: Ends of paths that begin something of which more is told later, or end it.
BEGINS: Final = ("/responses", "/batches", "/jobs", "/cancel")

_BATCH: Final = re.compile(r".*/(?:batches|batch/jobs)/[^/]+")
_CONTENT: Final = re.compile(r".*/files/([^/]+)/content")
_RESPONSE: Final = re.compile(r".*/responses/[^/]+")
_BACKGROUND: Final = b'"background"'
#: Bytes of a stream in which an answer's name stands.
_HEAD: Final = 4096
_NAME: Final = re.compile(rb'"id" ?: ?"(resp_[A-Za-z0-9_-]{1,200})"')
_WHOLE_PRICE: Final = 1_000_000
#: How batches end, and answers.
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled", "incomplete"})
#: The messages of a session that tell use.
_TELLING: Final = frozenset(
    {
        "response.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "conversation.item.input_audio_transcription.completed",
    }
)


class _Body(msgspec.Struct, gc=False):
    """An answer among results."""

    model: str | None = None
    usage: dict[str, Any] | None = None


class _Response(msgspec.Struct, gc=False):
    """What came of one request of a batch."""

    body: _Body | None = None


class _Line(msgspec.Struct, gc=False):
    """A line of results."""

    custom_id: str
    response: _Response | None = None


_lines: Final = msgspec.json.Decoder(_Line)


def fetching_tap(exchange: Exchange, reply: Reply) -> Tap | None:
    """Return what reads the answer to a call that fetches something, or the messages of a session."""
    if exchange.upgraded:
        return MessagesTap(exchange, b'"usage"', read_message) if reply.status == 101 else None
    if exchange.request.method != "GET" or reply.status != 200:
        return None
    path = plain_path(exchange.request.path)
    if (found := _CONTENT.fullmatch(path)) is not None:
        return LinesTap(exchange, found[1], read_line)
    if reply.headers.index.get(b"content-type", b"")[:16] != b"application/json":
        return None
    if _BATCH.fullmatch(path):
        return ObjectTap(exchange, read_batch)
    return ObjectTap(exchange, read_response) if _RESPONSE.fullmatch(path) else None


def beginning_tap(exchange: Exchange, *, streamed: bool) -> Tap:
    """Return what reads the answer to a call whose path is one of `BEGINS`."""
    path = exchange.request.path
    if not is_responses(path):
        return StreamTap() if streamed else ObjectTap(exchange, read_batch)
    if _BACKGROUND not in (exchange.body_at_hand or b"") and not path.endswith("/cancel"):
        return StreamTap() if streamed else WholeTap(USAGE)
    return _BackgroundTap(exchange) if streamed else ObjectTap(exchange, partial(read_response, begun=True))


class _BackgroundTap(StreamTap):
    """Reads the stream of an answer that may be fetched again: what it tells has been told."""

    __slots__ = ("_exchange", "_head")

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._head = b""

    def feed(self, data: bytes) -> None:
        """Read one piece; the answer's name stands in the first."""
        if len(self._head) < _HEAD:
            self._head += data[:_HEAD]
        super().feed(data)

    def end(self) -> None:
        """Find what the tail tells; have nobody count it again."""
        super().end()
        named = _NAME.search(self._head)
        if self.usage is not None and named is not None:
            self._exchange.state[TOLD] = Belated(named[1].decode(), ())


def read_batch(told: dict[str, Any]) -> Belated | Usage | None:
    """Read a batch: what it used where it has ended; one that is begun has used nothing."""
    if told.get("object") != "batch":
        return Usage() if "batch_id" in told else None  # xAI's, which tells no more
    usage = told.get("usage")
    if told["status"] not in _ENDED or not isinstance(usage, dict):
        return Usage()
    used = read_usage(usage)
    if used is None or not used.total:
        return Usage()
    name = told.get("output_file_id") or told["id"]
    return Belated(name, (Spent(told.get("model") or "", used),), BATCH)


def read_response(told: dict[str, Any], *, begun: bool = False) -> Belated | Usage | None:
    """Read an answer that is made in the background; `begun` is one that comes of asking for it.

    Any other was told of when it was made.
    """
    if told.get("object") != "response" or told.get("background") is not True:
        return _own(told) if begun else None
    usage = told.get("usage")
    used = read_usage(usage) if told["status"] in _ENDED and isinstance(usage, dict) else None
    if used is None:
        return Usage()
    return Belated(told["id"], (Spent(told.get("model") or "", used),), _WHOLE_PRICE)


def _own(told: dict[str, Any]) -> Usage | None:
    usage = told.get("usage")
    return read_usage(usage) if isinstance(usage, dict) else None


def read_line(line: bytes) -> Spent | None:
    """Read one line of a batch's results."""
    response = _lines.decode(line).response
    body = None if response is None else response.body
    used = None if body is None or body.usage is None else read_usage(body.usage)
    return None if body is None or used is None else Spent(body.model or "", used)


def read_message(told: dict[str, Any]) -> Spent | None:
    """Read a message of a session, which may tell what one answer in it used, or what was heard."""
    if told.get("type") not in _TELLING:
        return None
    told = told.get("response", told)
    usage = told.get("usage")
    used = read_usage(usage) if isinstance(usage, dict) else None
    return None if used is None else Spent(told.get("model") or "", used)
