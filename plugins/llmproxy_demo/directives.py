"""What a message may tell the model to do, written in double brackets before its text."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson

_NUMBER = r"(\d{1,6}(?:\.\d{1,3})?)"
_IN_A_SECOND = {"ms": 1000, "s": 1}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024}
MAX_SIZE = 64 * 1024 * 1024

_FORMS = {
    "fail": "[[fail STATUS]] or [[fail STATUS SECONDSs]], a status from 400 to 599",
    "stall": "[[stall 2s]] or [[stall 2s after 3]]",
    "cut": "[[cut after 3]]",
    "slow": "[[slow 50ms]]",
    "size": "[[size 10KiB]], at most 64MiB",
    "tool": '[[tool NAME {"json": "object"}]]',
}
_PATTERNS = {
    "fail": re.compile(rf"(\d{{3}})(?: +{_NUMBER}(ms|s))?"),
    "stall": re.compile(rf"{_NUMBER}(ms|s)(?: +after +(\d{{1,6}}))?"),
    "cut": re.compile(r"after +(\d{1,6})"),
    "slow": re.compile(rf"{_NUMBER}(ms|s)"),
    "size": re.compile(r"(\d{1,9})(B|KiB|MiB)"),
    "tool": re.compile(r"([A-Za-z0-9_-]{1,64})(?: +(\{.*\}))?", re.DOTALL),
}
_VERB = re.compile(r"\s*\[\[ *(fail|stall|cut|slow|size|tool)(?= |\]\])")


class BadDirective(ValueError):
    """A directive that is written wrongly; the message shows the right form."""

    def __init__(self, verb: str) -> None:
        super().__init__(f"write {_FORMS[verb]}")


class Directives(msgspec.Struct, frozen=True):
    """How to behave. Times are seconds, places are counts of words; None and 0 mean: as usual."""

    fail: int | None = None
    retry_after: float | None = None
    stall: float = 0.0
    stall_after: int | None = None
    cut_after: int | None = None
    slow: float = 0.0
    size: int | None = None
    tool: str | None = None
    arguments: str = "{}"


def split(message: str) -> tuple[Directives, str]:
    """Split a message into the directives at its start and the text after them; raise `BadDirective`.

    Brackets around any other word are text.
    """
    found: dict[str, Any] = {}
    while verb := _VERB.match(message):
        name = verb[1]
        end = _closing(message, verb.end())
        match = _PATTERNS[name].fullmatch(message[verb.end() : end].strip(" ")) if end >= 0 else None
        if match is None:
            raise BadDirective(name)
        found |= _meaning(name, match)
        message = message[end + 2 :].removeprefix(" ")
    return Directives(**found), message


def _closing(message: str, start: int) -> int:
    """Return where the brackets close; a tool's JSON may hold `]]` itself."""
    brace = message.find("{", start)
    end = message.find("]]", start)
    if brace < 0 or end < brace:
        return end
    while end >= 0 and not _is_object(message[brace:end].rstrip(" ")):
        end = message.find("]]", end + 1)
    return end


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _meaning(verb: str, match: re.Match[str]) -> dict[str, Any]:
    if verb == "fail":
        status = int(match[1])
        if not 400 <= status <= 599:
            raise BadDirective(verb)
        return {"fail": status, "retry_after": _duration(match[2], match[3]) if match[2] else None}
    if verb == "stall":
        return {"stall": _duration(match[1], match[2]), "stall_after": int(match[3]) if match[3] else None}
    if verb == "cut":
        return {"cut_after": int(match[1])}
    if verb == "slow":
        return {"slow": _duration(match[1], match[2])}
    if verb == "size":
        size = int(match[1]) * _BYTES[match[2]]
        if size > MAX_SIZE:
            raise BadDirective(verb)
        return {"size": size}
    return {"tool": match[1], "arguments": match[2] or "{}"}


def _duration(number: str, unit: str) -> float:
    return float(number) / _IN_A_SECOND[unit]
