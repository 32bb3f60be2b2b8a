"""URLs as tags: two spellings of one place are one tag (RFC 3986 §6.2.2 and §6.2.3)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

#: Segments, and characters, of the longest prefix that is a tag; a purge of a longer one purges this one.
MOST_SEGMENTS: Final = 16
LONGEST_PREFIX: Final = 1024

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(?:[^@]*@)?(\[[^\]]*\]|[^:]*)(?::([0-9]*))?")
_PORTS: Final = {"http": "80", "https": "443"}
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
#: What may stand in a target as it is; the rest is the work of people who write IRIs, or of nobody.
_PLAIN: Final = "%/?:@!$&'()*+,;=-._~[]|^`{}\\\"<>"


class Location(NamedTuple):
    """A place in its one spelling: `origin` (empty where only a path is known), `path`, and `query` if any."""

    origin: str
    path: str
    query: str | None = None

    @property
    def target(self) -> str:
        """The path with its query."""
        return self.path if self.query is None else f"{self.path}?{self.query}"


def locate(url: str) -> Location:
    """Read an absolute URL, or a path that begins with a slash.

    Raises:
        ValueError: it is neither.
    """
    match = _URL.fullmatch(url)
    if match is not None:
        scheme = match[1].lower()
        origin, rest = f"{scheme}://{_authority(match[2], scheme)}", match[3]
    elif url.startswith("/"):
        origin, rest = "", url
    else:
        raise ValueError("this is neither a URL nor a path that begins with a slash")
    rest = rest.partition("#")[0]
    if "%" in rest or not rest.isascii():
        rest = _ESCAPE.sub(_unescape, quote(rest, safe=_PLAIN))
    path, mark, query = rest.partition("?")
    if "/." in path:
        path = _without_dots(path)
    return Location(origin, path or "/", query if mark else None)


def prefixes(path: str) -> list[str]:
    """Return what a path begins with, at the ends of its segments: nothing, `/a`, `/a/b` for `/a/b/`."""
    found = [""]
    at = 0
    path = path.rstrip("/")
    while at < len(path) and len(found) <= MOST_SEGMENTS:
        end = path.find("/", at + 1)
        at = len(path) if end < 0 else end
        if at > LONGEST_PREFIX:
            break
        found.append(path[:at])
    return found


def _authority(text: str, scheme: str) -> str:
    match = _AUTHORITY.fullmatch(text)
    if match is None or not match[1]:
        raise ValueError("this URL names no host")
    host = match[1].lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("this URL's host cannot be a name") from None
    port = match[2] or _PORTS.get(scheme, "")
    return f"{host}:{port}" if port else host


def _unescape(escape: re.Match[str]) -> str:
    sign = chr(int(escape[1], 16))
    return sign if sign in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` (RFC 3986 §5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if segment == "..":
            del kept[-1:]
        if segment not in {".", ".."}:
            kept.append(segment)
        elif last:
            kept.append("")
    return "/" + "/".join(kept)
