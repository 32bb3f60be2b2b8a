"""`llmproxy cache warm`: a file of requests to a running gateway, part by part, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from llmproxy.commands.asking import Admin, NotReached, follow
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.control import unreadable

#: Bytes that are sent at a time; a line of more is sent alone.
_PART = 4 * 1024 * 1024

_ORDER = ("stored", "hit", "joined", "not kept", "failed")
_WORDS = {"hit": "there already", "joined": "joined to others' calls"}


@dataclass(slots=True)
class Ends:
    """What became of the lines: how often each outcome was, and in words what went wrong."""

    counts: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """All of it in a line."""
        counted = [name for name in _ORDER if self.counts.get(name)]
        return (
            ", ".join(f"{self.counts[name]} {_WORDS.get(name, name)}" for name in counted) or "nothing to do"
        )

    @property
    def code(self) -> ExitCode:
        """Whether anything failed."""
        return ExitCode.FAILED_UNEXPECTEDLY if self.counts.get("failed") else ExitCode.OK


def warm(where: Admin, file: Path, **pace: Any) -> Ends:
    """Have the gateway make the requests of a file.

    Raises:
        Refusal: the file cannot be read, or the gateway refuses.
    """
    path = f"/cache/warm?{urlencode(pace)}"
    ends = Ends()
    try:
        for first, part in _parts(file):
            _warm_part(where, path, first, part, ends)
    except OSError as fault:
        raise Refusal(unreadable(fault), ExitCode.WRONG_USAGE) from None
    return ends


def _warm_part(where: Admin, path: str, first: int, part: bytes, ends: Ends) -> None:
    told: dict[str, Any] = {}
    for answer in follow(where, path, part, "application/x-ndjson"):
        if answer.status != 200:
            wrong = answer.status == 400 and "code" in answer.told
            code = ExitCode.WRONG_USAGE if wrong else ExitCode.GATEWAY_NOT_REACHED
            raise Refusal(f"{where.address}: {answer.reason}", code)
        told = answer.told
        if "outcome" in told:
            _count(ends, first, told)
    if "outcomes" not in told:
        raise NotReached(f"{where.address}: it broke off; so far: {ends.summary}")


def _count(ends: Ends, first: int, told: dict[str, Any]) -> None:
    outcome, why = str(told["outcome"]), str(told.get("why", ""))
    ends.counts[outcome] = ends.counts.get(outcome, 0) + 1
    if why:
        ends.told.append(f"line {first + int(told['line']) - 1}: {outcome}: {why}")


def _parts(file: Path) -> Iterator[tuple[int, bytes]]:
    """Give whole lines, some megabytes at a time, and the number of the first."""
    first, count, lines, size = 1, 0, list[bytes](), 0
    with file.open("rb") as data:
        for line in data:
            if lines and size + len(line) > _PART:
                yield first, b"".join(lines)
                first, lines, size = first + count, [], 0
                count = 0
            lines.append(line)
            count, size = count + 1, size + len(line)
    if lines:
        yield first, b"".join(lines)
