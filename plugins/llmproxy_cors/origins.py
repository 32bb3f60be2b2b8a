"""Origins of web pages (RFC 6454 §7) and the patterns that a configuration writes for them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

#: What a browser sends: scheme and host in lower case, a port only if it is not the scheme's own. Anything else,
#: `null` included, is nobody's origin.
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]{0,30})://([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?"
)

#: What a configuration may write: the same, with `*.` before a host and `*` for any port.
_PATTERN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://((?:\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}|\*))?"
)
_OWN_PORT: Final = {"http": "80", "https": "443"}


class _Wild(NamedTuple):
    """An origin with a wildcard: `suffix` is the end of the host from its dot on, or all of it."""

    scheme: str
    suffix: str
    port: str

    def takes(self, scheme: str, host: str, port: str) -> bool:
        """Whether it is one of these; `*.example.com` is not `example.com` itself."""
        if scheme != self.scheme or self.port not in ("*", port):
            return False
        if self.suffix.startswith("."):
            return host.endswith(self.suffix) and len(host) > len(self.suffix)
        return host == self.suffix


class Origins:
    """The origins that a policy names."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Read patterns: `https://app.example`, `https://*.example.com`, `http://localhost:*`, or `*` alone.

        Raises:
            ValueError: one is no origin; the text says what would be.
        """
        given = tuple(patterns)
        self.any = "*" in given
        self._exact: set[str] = set()
        self._wild: list[_Wild] = []
        for text in given:
            if text != "*":
                self._add(text)

    def _add(self, text: str) -> None:
        if text.lower() == "null":
            raise ValueError("any page can make its origin null (a sandboxed frame), so that it names nobody")
        found = _PATTERN.fullmatch(text.lower())
        if found is None:
            raise ValueError(
                f"{text!r} is no origin such as https://app.example, without a path or a slash at its end"
            )
        scheme, host, port = found[1], found[2], found[3] or ""
        port = "" if port == _OWN_PORT.get(scheme) else port
        if host.startswith("*.") or port == "*":
            self._wild.append(_Wild(scheme, host.removeprefix("*"), port))
        else:
            self._exact.add(f"{scheme}://{host}" + (f":{port}" if port else ""))

    def take(self, origin: str) -> bool:
        """Whether a page of this origin, as a browser wrote it, may ask."""
        if self.any or origin in self._exact:
            return True
        if not self._wild or (found := _ORIGIN.fullmatch(origin)) is None:
            return False
        scheme, host, port = found[1], found[2], found[3] or ""
        return any(wild.takes(scheme, host, port) for wild in self._wild)
