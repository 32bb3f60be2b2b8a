"""How the judge answers on one connection: one request after another, paced, cut or stalled as directed."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from llmproxy.tasks import spawn
from llmproxy.testing import answers, wire
from llmproxy.testing.answers import Directions, read_directions
from llmproxy.testing.verdicts import Served, Verdicts

CONTROL = "/_judge/"
_ID = re.compile(r"(?:^|;) *id=([^; ]+)")
_NONE = Directions()


@dataclass(slots=True)
class Request:
    """One request, as far as it has arrived; those of the judge's own pages have no record."""

    method: str = ""
    target: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    served: Served | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    directions: Directions = _NONE

    def header(self, name: bytes) -> str:
        """Return a field's value, or nothing."""
        return self.headers.get(name, b"").decode("latin-1")

    def direct(self) -> None:
        """Read the body, and the directions in the header or in it."""
        if self.body.startswith(b"{"):
            self.asked = orjson.loads(self.body)
        text = self.header(b"x-judge") or self.asked.get("x-judge")
        if text:
            self.directions = read_directions(text)

    @property
    def request_id(self) -> str:
        """What the header calls the request, or nothing."""
        found = _ID.search(self.header(b"x-judge"))
        return found[1] if found else self.header(b"x-request-id")

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.asked.get("model"))

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with its usage."""
        return bool((self.asked.get("stream_options") or {}).get("include_usage"))


class Answering:
    """The answers of one connection."""

    def __init__(self, verdicts: Verdicts, transport: asyncio.Transport) -> None:
        self._verdicts = verdicts
        self._transport = transport
        self._queue: deque[Request] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._held: Iterator[bytes] | None = None
        self._resetting: asyncio.Task[None] | None = None

    @property
    def current(self) -> Request | None:
        """The request being answered."""
        return self._queue[0] if self._queue else None

    def add(self, request: Request) -> None:
        """Answer a request as soon as those before it are answered."""
        self._queue.append(request)
        if len(self._queue) == 1:
            self._begin(request)

    def stop(self) -> None:
        """Answer no more: the connection is gone."""
        if self._timer:
            self._timer.cancel()

    def hold(self) -> None:
        """Send no more events until `release`."""
        self._writable = False

    def release(self) -> None:
        """Go on with the events held."""
        self._writable = True
        if self._held:
            events, self._held = self._held, None
            self._drip(events)

    def _begin(self, request: Request) -> None:
        try:
            request.direct()
        except ValueError as fault:  # msgspec's and orjson's faults are ValueErrors
            refusal = Directions(status=400)
            self._write(answers.reply(refusal, answers.problem(refusal, str(fault))))
            self._finish()
            return
        if request.served and request.directions.id:
            self._verdicts.name(request.served, request.directions.id)
        if request.directions.wait:
            self._later(request.directions.wait, lambda: self._answer(request))
        else:
            self._answer(request)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    def _answer(self, request: Request) -> None:
        directions = request.directions
        if directions.stall == "headers":
            return
        if request.asked.get("stream") is True and directions.status == 200:
            self._stream(request)
        else:
            self._write(answers.reply(directions, _body(request, self._verdicts)))
            self._finish()

    def _stream(self, request: Request) -> None:
        directions = request.directions
        events = answers.stream_events(request.model, directions, request.wants_usage)
        if directions.stall == "events":
            self._write(answers.STREAM_HEAD)
        elif directions.delay:
            self._write(answers.STREAM_HEAD)
            self._drip(iter(events))
        else:
            self._write(answers.STREAM_HEAD + b"".join(events) + answers.STREAM_END, len(events))
            self._finish()

    def _drip(self, events: Iterator[bytes]) -> None:
        """Send the events of text `delay` apart, while the peer takes them, and the rest at once."""
        if not self._writable:
            self._held = events
            return
        event = next(events)
        if b'"content"' in event:
            self._write(event, 1)
            self._later(self._queue[0].directions.delay, lambda: self._drip(events))
        else:
            rest = [event, *events]
            self._write(b"".join(rest) + answers.STREAM_END, len(rest))
            self._finish()

    def _write(self, data: bytes, events: int = 0) -> None:
        """Send and count `data`, up to where the directions end the connection."""
        directions, served = self._queue[0].directions, self._queue[0].served
        if self._transport.is_closing():
            return
        if served is None:
            self._transport.write(data)
            return
        end = max(directions.cut, directions.reset)
        if end >= 0:
            data = data[: end - served.bytes_out]
        self._transport.write(data)
        self._verdicts.sent(served, len(data), events)
        if served.bytes_out == end:
            self._end(directions)

    def _end(self, directions: Directions) -> None:
        if directions.cut >= 0:
            self._transport.close()
        else:
            self._resetting = spawn(self._reset(), name="judge resets")

    async def _reset(self) -> None:
        await wire.flush(self._transport)
        wire.reset(self._transport)

    def _finish(self) -> None:
        request = self._queue[0]
        directions = request.directions
        if request.served:
            if 0 <= max(directions.cut, directions.reset) <= request.served.bytes_out:
                return
            self._verdicts.finish(request.served)
        self._queue.popleft()
        if self._queue:
            self._begin(self._queue[0])


def _body(request: Request, verdicts: Verdicts) -> bytes:
    path, _, query = request.target.partition("?")
    directions = request.directions
    if path.startswith(CONTROL):
        return _control(verdicts, path, query)
    if directions.status >= 400:
        return answers.problem(directions, directions.echo or "as directed")
    if path.endswith("/chat/completions"):
        return answers.completion(request.model, directions)
    if path.endswith("/embeddings"):
        return answers.embeddings(request.model, request.asked.get("input"))
    if path.endswith("/models"):
        return answers.MODELS
    asked = {"method": request.method, "target": request.target, "bytes": len(request.body)}
    return orjson.dumps({"object": "judged", "echo": directions.echo, **asked})


def _control(verdicts: Verdicts, path: str, query: str) -> bytes:
    if path == "/_judge/reset":
        verdicts.reset()
    if wanted := parse_qs(query).get("id"):
        return orjson.dumps(verdicts.of(wanted[0]))
    return orjson.dumps(verdicts.summary())
