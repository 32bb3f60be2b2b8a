"""Rewrites a path, and lets none out that an upstream may read as another one than it seems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from llmproxy.plugin import BadRequest, has_dot_segment, normalise_path
from llmproxy_rewrite.templates import Lookup, Source, Template

#: Bytes that no path may hold as they are (RFC 3986 §3.3), the ends of a path among them.
_UNFIT: Final = re.compile(r"[^!-~]|[?#\\]")


class PathRule:
    """How a route's paths are rewritten: `to` a template, or else cut, matched and prefixed, in this order.

    `replace` are compiled expressions with templates; the first whose expression matches the whole path gives the new
    one. `catch_all` is the parameter whose value is put in as it was written, slashes included.
    """

    def __init__(
        self,
        *,
        to: Template | None = None,
        strip: str = "",
        replace: Sequence[tuple[Any, Template]] = (),
        add: str = "",
        catch_all: str | None = None,
    ) -> None:
        self._to = to
        self._strip = normalise_path(strip)
        self._replace = tuple(replace)
        self._add = add
        self._catch_all = catch_all

    def apply(self, path: str, lookup: Lookup) -> str:
        """Return the path that is sent in place of `path`.

        Raises:
            BadRequest: a value is missing, or the new path would be none that is safe to send.
        """
        path = normalise_path(path)
        if self._to is not None:
            return self._checked(self._filled(self._to, lookup))
        if self._strip and (path == self._strip or path.startswith(self._strip + "/")):
            path = path[len(self._strip) :] or "/"
        for expression, template in self._replace:
            found = expression.fullmatch(path)
            if found is not None:
                path = self._filled(template, _with_groups(found.groupdict(), lookup))
                break
        return self._checked(self._add + path if self._add else path)

    def _filled(self, template: Template, lookup: Lookup) -> str:
        path = template.fill(lambda kind, name: self._value(lookup, kind, name), self._quote)
        if path is None:
            raise BadRequest(
                "value_missing",
                "The request lacks a value that its path here is made of.",
            )
        return path

    def _value(self, lookup: Lookup, kind: str, name: str) -> str | None:
        """Look a value up; an empty one is none, as the path without its segment would be another place."""
        value = lookup(kind, name)
        return value if value or self._is_written(kind, name) else None

    def _quote(self, value: str, source: Source) -> str:
        """Keep a value inside its segment."""
        as_written = self._is_written(source.kind, source.name)
        return value if as_written else quote(value, safe="", errors="surrogateescape")

    def _is_written(self, kind: str, name: str) -> bool:
        """Whether a value was matched in the path, and so is a part of a path already."""
        return kind == "match" or (kind == "path" and name == self._catch_all)

    @staticmethod
    def _checked(path: str) -> str:
        # A path that begins with two slashes may be read as a host (RFC 3986 §4.2), a dot segment as another path.
        if not path.startswith("/") or path.startswith("//") or _UNFIT.search(path):
            raise _refusal()
        if has_dot_segment(normalise_path(path)):
            raise _refusal()
        return path


def _with_groups(groups: dict[str, str | None], lookup: Lookup) -> Lookup:
    def find(kind: str, name: str) -> str | None:
        return groups.get(name) if kind == "match" else lookup(kind, name)

    return find


def _refusal() -> BadRequest:
    return BadRequest("bad_path", "The request's path cannot be rewritten to one that may be sent.")
