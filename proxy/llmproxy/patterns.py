"""Path patterns of routes: literal paths, `{parameter}` segments, a catch-all at the end.

Theory: a path is matched as it was written, after the one normalisation that RFC 3986 section 6.2.2
calls equivalence: an encoded unreserved character is that character, hex digits are upper case. `%2F`
therefore stays inside its segment, `//` stays two slashes, and a path with dot segments, raw or encoded,
by slash or backslash, is refused: an upstream may read it as another path than the one the route was
chosen for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from llmproxy.references import quoted

_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SEPARATOR: Final = r"(?:[/\\]|%2F|%5C)"
#: What some servers end a segment or a path at once they have decoded it: NUL above all, and what they trim.
_END: Final = "(?:;|%(?:[01][0-9A-F]|20|23|3B|3F|7F))"
_DOT_SEGMENT: Final = re.compile(rf"{_SEPARATOR}\.\.?(?:{_SEPARATOR}|{_END}|$)")
_SLASHES: Final = re.compile("/{2,}")
_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}")
_MAX_PARAMETERS: Final = 16

NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})


def normalise_path(path: str) -> str:
    """Decode encoded unreserved characters and upper-case the other escapes."""
    return _ENCODED.sub(_normalised, path) if "%" in path else path


def plain_path(path: str) -> str:
    """Return a path as the servers read it that mind least how it is spelled: decoded, with single slashes, no last one.

    For what must not go unnoticed, however it is asked for; never for what is sent.
    """
    return _SLASHES.sub("/", unquote(path)).rstrip("/")


def has_dot_segment(normalised: str) -> bool:
    """Whether a normalised path holds `.` or `..` as a segment, however its slashes are written."""
    return "." in normalised and _DOT_SEGMENT.search(normalised) is not None


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A compiled path of a route.

    `literal` is set when it has no parameter at all, `prefix` when it has none but a `*` at the end.
    """

    text: str
    literal: str | None
    prefix: str | None
    regex: re.Pattern[str]
    catch_all: str | None
    specificity: tuple[int, int, int]

    @property
    def parameters(self) -> frozenset[str]:
        """The names of its parameters."""
        return frozenset(self.regex.groupindex)

    def match(self, normalised: str) -> Mapping[str, str] | None:
        """Return the parameters, decoded but for a catch-all, which stays as written; None for no match."""
        if self.prefix is not None:
            return NO_PARAMS if normalised.startswith(self.prefix) else None
        found = self.regex.fullmatch(normalised)
        if found is None:
            return None
        return {
            name: value if name == self.catch_all else unquote(value)
            for name, value in found.groupdict().items()
        }


def compile_path(text: str) -> PathPattern:
    """Compile a route's path, or raise a ValueError that says what is wrong with it."""
    if not text.startswith("/"):
        raise ValueError(f'{quoted(text)} is not a path; it begins with "/"')
    if re.search(r"[?#\s\x00-\x1f]", text):
        raise ValueError(f"{quoted(text)} holds a query, a fragment or a space; a path has none of them")
    head, catch_all = _split_catch_all(text)
    segments = head.split("/")
    names = [match[1] for segment in segments for match in _PARAMETER.finditer(segment)]
    names += [catch_all] if catch_all else []
    if len(set(names)) < len(names) or len(names) > _MAX_PARAMETERS:
        raise ValueError(f"{quoted(text)} names a parameter twice or has more than {_MAX_PARAMETERS}")
    body = "/".join(_segment_regex(text, segment) for segment in segments)
    if has_dot_segment(normalise_path(text)):
        raise ValueError(f"{quoted(text)} holds a dot segment, and a request with one is always refused")
    tail = "" if catch_all is None else f"(?P<{catch_all}>.*)" if catch_all else ".*"
    literal = normalise_path(head) if not names else None
    return PathPattern(
        text,
        literal if catch_all is None else None,
        literal if catch_all == "" else None,
        re.compile(body + tail, re.DOTALL),
        catch_all,
        _specificity(head, catch_all),
    )


def _split_catch_all(text: str) -> tuple[str, str | None]:
    """Cut `*` or `{rest...}` off the end; the name is "" for `*`, None for no catch-all."""
    if text.endswith("/*"):
        return text[:-1], ""
    head, slash, last = text.rpartition("/")
    if (match := _PARAMETER.fullmatch(last)) and match[2]:
        return head + slash, match[1]
    return text, None


def _segment_regex(text: str, segment: str) -> str:
    found = list(_PARAMETER.finditer(segment))
    bare = _PARAMETER.sub("", segment)
    if "*" in bare or "{" in bare or "}" in bare or any(match[2] for match in found):
        raise ValueError(
            f'{quoted(text)} has a wildcard in the wrong place; write "{{name}}" inside a segment, and "*" or'
            ' "{name...}" as the whole last one'
        )
    if len(found) > 1:
        raise ValueError(f"{quoted(text)} has two parameters in one segment")
    if not found:
        return re.escape(normalise_path(segment))
    prefix, suffix = segment[: found[0].start()], segment[found[0].end() :]
    return f"{re.escape(normalise_path(prefix))}(?P<{found[0][1]}>[^/]+){re.escape(normalise_path(suffix))}"


def _specificity(head: str, catch_all: str | None) -> tuple[int, int, int]:
    """Order patterns, greatest first: longest literal prefix, most literal characters, no catch-all."""
    first = _PARAMETER.search(head)
    prefix = len(head) if first is None else first.start()
    return prefix, len(_PARAMETER.sub("", head)), catch_all is None


def _normalised(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else "%" + match[1].upper()
