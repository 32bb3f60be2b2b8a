"""Which tags a write makes untrue: `PUT /products/1` those of `/products/{id}`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from llmproxy.caches import Purge, locate
from llmproxy.plugin import ConfigError
from llmproxy_invalidation.naming import Names, Naming, read_template

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NAME: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Segments that lead elsewhere: no name of anything.
_UPWARDS: Final = frozenset({".", ".."})
_SEGMENT: Final = re.compile(r"[^{}*]+")


class Write(Naming, frozen=True, kw_only=True):
    """What a successful request that changes something purges, and what is fetched anew after it.

    Attributes:
        path: the paths that it is for: `/products/{id}`, `/files/*` for all below; names stand for one segment and
            may be used in the templates.
        methods: which methods; without it all but GET, HEAD, OPTIONS and TRACE.
        of: whose entries: of every tenant, or of the caller's own.
        refill: targets that are asked for once the purge is done, so that the new answer is there.
    """

    path: str
    methods: tuple[str, ...] = ()
    of: str = "everybody"
    refill: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        pattern = read_pattern(self.path)
        if self.of not in {"everybody", "tenant"}:
            raise ConfigError("of", "should be 'everybody' or 'tenant'")
        if set(self.methods) & _SAFE:
            raise ConfigError("methods", "GET, HEAD, OPTIONS and TRACE change nothing (RFC 9110 §9.2.1)")
        for target in self.refill:
            if not target.startswith("/"):
                raise ConfigError("refill", f"{target!r} is no path; it begins with a slash")
        needed = Names(self).fields | {
            field for target in self.refill for field in read_template(target, "refill").fields
        }
        if unknown := sorted(needed - pattern.groupindex.keys()):
            raise ConfigError("path", f"{self.path!r} has no {{{unknown[0]}}}, which a template needs")


class Change(NamedTuple):
    """What one write does: purges, and targets to be asked for after them."""

    purges: list[Purge]
    refill: list[str]


class Writes:
    """The writes that a route declares."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = [
            (
                frozenset(each.methods),
                read_pattern(each.path),
                Names(each),
                each.of == "tenant",
                [read_template(target, "refill") for target in each.refill],
            )
            for each in writes
        ]

    def find(self, method: str, path: str, tenant: str) -> Change | None:
        """Return what a request changes if it is done, None if nothing is declared for it."""
        if method in _SAFE:
            return None
        change = Change([], [])
        path = _spelled(path)
        for methods, pattern, names, own, refill in self._writes:
            found = None if methods and method not in methods else _found(pattern, path)
            if found is None:
                continue
            values = {name: unquote(value) for name, value in found.items()}
            change.purges.extend(names.purges(values, tenant if own else None, paths=found))
            change.refill.extend(target for each in refill for target in each.fill(found))
        return change if change.purges else None


def _spelled(path: str) -> str:
    """Return a path in its one spelling, without the slash at its end."""
    with suppress(ValueError):  # no path that was ever stored
        path = locate(path).path
    return path.rstrip("/") or "/"


def _found(pattern: re.Pattern[str], path: str) -> dict[str, str] | None:
    """Return the segments of a path by their names, each as it stands in a path."""
    match = pattern.fullmatch(path)
    if match is not None:
        return match.groupdict()
    # Another spelling may be the same place to the upstream.
    match = pattern.fullmatch(unquote(path))
    if match is None or not _UPWARDS.isdisjoint(match.groupdict().values()):
        return None
    return {name: quote(value, safe="") for name, value in match.groupdict().items()}


def read_pattern(path: str) -> re.Pattern[str]:
    """Read a path pattern.

    Raises:
        ConfigError: it is none.
    """
    if not path.startswith("/"):
        raise ConfigError("path", f"{path!r} is no path; it begins with a slash")
    rest = path.removesuffix("/*")
    parts: list[str] = []
    for segment in rest.split("/"):
        if (named := _NAME.fullmatch(segment)) is not None:
            parts.append(f"(?P<{named[1]}>[^/]+)")
        elif not segment or _SEGMENT.fullmatch(segment):
            parts.append(re.escape(segment))
        else:
            raise ConfigError("path", f"{segment!r} is neither a name in braces nor a plain segment")
    try:
        return re.compile("/".join(parts) + ("(?:/.*)?" if rest != path else ""), re.DOTALL)
    except re.error:
        raise ConfigError("path", f"{path!r} has a name twice") from None


def may_have_changed(status: int | None) -> bool:
    """Whether a write with that answer may have been done: a 4xx says it was not, no answer says nothing."""
    return status is None or not 400 <= status < 500
