"""Late commit: how an answer begins is known before any of it leaves.

Theory of operation. A streamed answer that somebody reads (a tap) is held, head and all, until its first output. What
fails until then has failed before output: the attempt raises, and whoever walks the places may try another one. Most
answers bring output with the first read; then nothing waits, and nothing is parsed here. Otherwise a `Waiting` looks at
what comes: an error event ends the wait at once, too many bytes or events, or too long a time, let the answer go as it
is. An answer that is whole or nothing (JSON) is held to its end, within the same bounds.

What fails after the first output is never tried again, even if nothing of it has left: then its error's `phase` is
`body`. Before, it is `first_token`.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.errors import GatewayError, ProviderError, UpstreamError, UpstreamTimeout
from llmproxy.eventreading import EventReader
from llmproxy.inflate import Inflate
from llmproxy.lanes import run_whole
from llmproxy.refusals import error_of
from llmproxy.sse import Event

if TYPE_CHECKING:
    from llmproxy.commitsettings import CommitConfig
    from llmproxy.dialects import Tap
    from llmproxy.exchange import Attempt, Exchange
    from llmproxy.messages import Headers, Reply
    from llmproxy.upstreamsettings import Timeouts
    from llmproxy.watch import Watch

#: The longest event that is looked into for an error.
_LONGEST_EVENT: Final = 256 * 1024


#: How much more of a compressed answer is held: it is judged by what it grows to, and a bomb should be known for one.
GROWTH: Final = 32


@dataclass(frozen=True, slots=True)
class Terms:
    """Within which bounds an answer is held: seconds since its head came, bytes, events without output."""

    wait: float
    bytes: int
    events: int


def terms_of(config: CommitConfig, keepalive: float | None) -> Terms | None:
    """Return the terms that a route's section says, None where nothing is held."""
    wait = config.seconds(keepalive)
    return Terms(wait, config.bytes, config.events) if wait else None


def is_plain(reply: Reply) -> bool:
    """Whether a reply came as it was asked for, in no coding."""
    return b"content-encoding" not in reply.headers.index


class Waiting:
    """The beginning of one answer while it is awaited; `fault` is the error that it told in place of output."""

    __slots__ = ("_events", "_headers", "_most", "_reader", "_size", "_terms", "done", "fault")

    def __init__(self, terms: Terms, reply: Reply) -> None:
        self._terms = terms
        self._headers = reply.headers
        plain = is_plain(reply)
        self._most = terms.bytes if plain else terms.bytes * GROWTH
        self._reader = EventReader(reply, _LONGEST_EVENT) if reply.is_stream and plain else None
        self._events = 0
        self._size = 0
        self.fault: GatewayError | None = None
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def feed(self, data: bytes) -> None:
        """Look at one piece that has brought no output."""
        self._size += len(data)
        if self._reader is not None and self.fault is None:
            try:
                for event in self._reader.feed(data):
                    self._look(event)
            except ValueError:
                # An event that is too long, or frames whose beginning has passed: who translates has read it.
                self._reader = None
        if self.fault or self._size >= self._most or self._events >= self._terms.events:
            self.stop()

    def _look(self, event: Event) -> None:
        if event.dispatches:
            self._events += 1
            self.fault = self.fault or error_in(event, self._headers)

    def stop(self) -> None:
        """End the wait."""
        if not self.done.done():
            self.done.set_result(True)

    async def until(self, seconds: float) -> bool:
        """Wait, so many seconds at most; return False if they have passed."""
        if self.done.done():
            return True
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._pass)
        try:
            return await self.done
        finally:
            timer.cancel()

    def _pass(self) -> None:
        if not self.done.done():
            self.done.set_result(False)


def error_in(event: Event, headers: Headers | None = None) -> ProviderError | None:
    """Return the error that an event tells of, in the words of any dialect; None if it is another event."""
    named = event.event == b"error"
    if not named and b'error"' not in event.data and b'"response.failed"' not in event.data:
        return None
    try:
        told: Any = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return error_of(event.data.decode("utf-8", "replace"), 0, headers) if named else None
    return _error_told(told, headers, named=named)


def _error_told(told: Any, headers: Headers | None, *, named: bool = False) -> ProviderError | None:
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, dict):
        return error_of(told, 0, headers) if named else None
    if told.get("type") == "response.failed":
        response = told.get("response")
        error = response.get("error") if isinstance(response, dict) else None
        return error_of({"error": error or {"message": "The response failed."}}, 0, headers)
    if named or told.get("type") == "error" or told.get("error"):
        return error_of(told, 0, headers)
    delta = told.get("delta")  # Cohere's last event has it there
    return error_of(delta, 0, headers) if isinstance(delta, dict) and delta.get("error") else None


def bad_start(reply: Reply, tap: Tap, data: bytes) -> GatewayError | None:
    """Return what became of an answer that ended without output; None if that is all it had to say."""
    data = _plain(reply, data)
    reader = EventReader(reply, max(_LONGEST_EVENT, len(data) + 1))
    try:
        events = [*reader.feed(data), *reader.close()]
    except ValueError:
        return unreadable()
    if reply.is_stream:
        for event in events:
            if (told := error_in(event, reply.headers)) is not None:
                return told
    else:
        try:
            if (told := _error_told(orjson.loads(data), reply.headers)) is not None:
                return told
        except orjson.JSONDecodeError:
            pass
    if tap.terminal:
        return None
    if data.strip() and not any(event.data for event in events):
        return unreadable()
    return cut_short("first_token")


def _plain(reply: Reply, data: bytes) -> bytes:
    coding = reply.headers.index.get(b"content-encoding", b"identity")
    if coding == b"identity":
        return data
    try:
        return run_whole([Inflate(coding)], data)
    except ValueError:
        return b""


def cut_short(phase: str = "body") -> UpstreamError:
    """Return what becomes of a stream that its provider ended in the middle, however cleanly."""
    message = "The provider's stream ended before its answer was whole."
    return UpstreamError("upstream_cut", message, phase=phase, sent=True)


def unreadable(phase: str = "first_token") -> UpstreamError:
    """Return what becomes of an answer that is none of its dialect, or not even of its coding."""
    message = "The provider's answer could not be read as its dialect."
    return UpstreamError("upstream_bad_answer", message, phase=phase, sent=True)


def failed_midway() -> ProviderError:
    """Return what an answer is that its provider ended with an error, in its own words, after output."""
    message = "The provider ended its stream with an error."
    return ProviderError(502, "stream_failed", message, kind="server")


def broken_off(fault: BaseException, *, output: bool) -> GatewayError:
    """Return what a held answer that broke off is raised as; `output` says whether some of it had come."""
    phase = "body" if output else "first_token"
    if isinstance(fault, UpstreamError) and fault.phase == "body":
        fault.phase = phase
    if isinstance(fault, GatewayError):
        return fault
    if isinstance(fault, ValueError):  # of a decoder, or of an end that did not come
        from llmproxy.canonical import TruncatedStream  # noqa: PLC0415  # few gateways translate

        if isinstance(fault, TruncatedStream):
            return cut_short(phase)
        return unreadable(phase)
    message = "The upstream's stream broke off."
    return UpstreamError("upstream_reset", message, phase=phase, sent=True)


def no_answer(exchange: Exchange, reply: Reply) -> UpstreamError | None:
    """Return what a web page is in place of a stream that was asked for: no answer of any model."""
    kind = reply.headers.index.get(b"content-type", b"")
    if not exchange.streamed or reply.status >= 300 or kind[:9].lower() != b"text/html":
        return None
    message = "The provider answered with a web page."
    return UpstreamError("upstream_bad_answer", message, phase="first_token", sent=True)


def no_model(exchange: Exchange, reply: Reply) -> UpstreamError | None:
    """Return what a redirection or an empty reply is where a model was asked: no model's, and nothing for its caller.

    A caller who followed a redirection would leave the gateway, and take his prompt to whoever the upstream names.
    """
    status = reply.status
    empty = status in (204, 205) and exchange.request.method == "POST"
    if exchange.model is None or not (empty or (300 <= status < 400 and status != 304)):
        return None
    message = f"The provider answered with status {status}, which is no model's answer."
    return UpstreamError("upstream_bad_answer", message, phase="headers", sent=True)


async def begin(exchange: Exchange, attempt: Attempt, watch: Watch, timeouts: Timeouts) -> None:
    """Wait until a reply has begun: at its first output, at a bound, at its end.

    Raises:
        GatewayError: it told of an error in place of output.
        UpstreamTimeout: the first output took too long, or all time is over.
    """
    terms = watch.terms
    if attempt.ended is not None or attempt.error is not None or terms is None:
        return
    waiting = Waiting(terms, watch.reply)
    watch.hear(waiting)
    now = watch.now()
    first_token = attempt.started + timeouts.first_token if attempt.first_output_at is None else math.inf
    until = min(now + terms.wait, first_token, exchange.deadline)
    told = await waiting.until(until - now)
    if attempt.error is None and waiting.fault is not None:
        raise waiting.fault
    if told or attempt.ended is not None:
        return
    if until == exchange.deadline:
        raise UpstreamTimeout("total", exchange.deadline - attempt.started, sent=True)
    if until == first_token:
        raise UpstreamTimeout("first_token", timeouts.first_token, sent=True)
