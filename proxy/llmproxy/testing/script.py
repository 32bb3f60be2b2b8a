"""What a scripted server says: answers to the byte, in order, for all paths or for one."""

from __future__ import annotations

import gzip as gzip_codec
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import orjson

from llmproxy.testing import wire

Ending = Literal["keep", "close", "reset", "stall"]
Framing = Literal["length", "chunked", "close"]
HeaderPairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: a head, then bytes and pauses (seconds), and what follows."""

    head: bytes
    steps: tuple[bytes | float, ...]
    then: Ending = "keep"
    after: int | None = None

    def plan(self, method: str) -> Iterable[bytes | float]:
        """Yield the steps for a request by `method`, cut at `after` bytes."""
        left = -1 if self.after is None else self.after
        for step in (self.head, *(() if method == "HEAD" and self.head else self.steps)):
            if isinstance(step, float) or left < 0:
                yield step
            else:
                yield step[:left]
                left -= len(step)
                if left <= 0:
                    return


class Script:
    """Answers, added by calls that chain: `.reply(500).reply(json={"a": 1}).stall(path="/slow")`.

    A request takes the next answer scripted for its path, or else of those with no path; the last repeats.
    `then` says what follows an answer: `keep` the connection, `close` it, `reset` it, or `stall`; with
    `after`, it follows as soon as that many bytes of the answer are out.
    """

    def __init__(self) -> None:
        self._answers: dict[str | None, deque[Answer]] = {}

    def reply(  # noqa: PLR0913 - a script's options, all by keyword
        self,
        status: int = 200,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: HeaderPairs = (),
        framing: Framing = "length",
        gzip: bool = False,
        interim: Sequence[bytes] = (),
        path: str | None = None,
        then: Ending = "keep",
        after: int | None = None,
    ) -> Self:
        """Script a whole answer; `interim` are heads (1xx) to send before it, exact to the byte."""
        if body is None:
            body = orjson.dumps(json)
            headers = [("Content-Type", "application/json"), *headers]
        if gzip:
            body = gzip_codec.compress(body, mtime=0)
            headers = [*headers, ("Content-Encoding", "gzip")]
        head = b"".join(interim) + _head(status, headers, framing, len(body))
        return self._add(path, head, _framed([body] if body else [], framing), _ending(framing, then), after)

    def stream(
        self,
        events: Iterable[bytes],
        *,
        delay: float = 0.0,
        status: int = 200,
        headers: HeaderPairs = (("Content-Type", "text/event-stream"),),
        framing: Literal["chunked", "close"] = "chunked",
        path: str | None = None,
        then: Ending = "keep",
        after: int | None = None,
    ) -> Self:
        """Script an event stream, or any body in pieces, each sent `delay` seconds after the one before."""
        steps = _framed(list(events), framing, delay)
        return self._add(path, _head(status, headers, framing, 0), steps, _ending(framing, then), after)

    def stall(self, *, before_headers: bool = True, path: str | None = None) -> Self:
        """Script an answer that never comes, or one whose body never does."""
        head = b"" if before_headers else _head(200, [("Content-Type", "application/json")], "chunked", 0)
        return self._add(path, head, (), "stall", None)

    def reset(self, *, after_bytes: int = 0, path: str | None = None) -> Self:
        """Script a reset after that many bytes of a JSON answer of 1,000 bytes."""
        body = b'{"padding":"%b"}' % (b"x" * 986)
        return self.reply(body=body, path=path, then="reset", after=after_bytes)

    def raw(self, *steps: bytes | float, path: str | None = None, then: Ending = "close") -> Self:
        """Script exact bytes, well-formed or not, and pauses in seconds between them."""
        return self._add(path, b"", steps, then, None)

    def _add(
        self, path: str | None, head: bytes, steps: tuple[bytes | float, ...], then: Ending, after: int | None
    ) -> Self:
        self._answers.setdefault(path, deque()).append(Answer(head, steps, then, after))
        return self

    def next_answer(self, path: str) -> Answer:
        """Take the answer that a request for `path` gets."""
        answers = self._answers.get(path) or self._answers.get(None)
        if answers is None:
            problem = orjson.dumps({"error": f"no answer is scripted for '{path}'"})
            return Answer(_head(500, (), "length", len(problem)), (problem,))
        return answers.popleft() if len(answers) > 1 else answers[0]


def _ending(framing: Framing, then: Ending) -> Ending:
    return "close" if framing == "close" and then == "keep" else then


def _head(status: int, headers: HeaderPairs, framing: Framing, length: int) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers)]
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing == "close":
        lines.append("Connection: close")
    elif status not in (204, 304):
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _framed(pieces: Iterable[bytes], framing: Framing, delay: float = 0.0) -> tuple[bytes | float, ...]:
    steps: list[bytes | float] = []
    for piece in pieces:
        if steps and delay:
            steps.append(delay)
        steps.append(wire.chunk(piece) if framing == "chunked" else piece)
    if framing == "chunked":
        steps.append(b"0\r\n\r\n")
    return tuple(steps)
