"""The plugin's configuration, read whole at the start: what cannot be done is told by its key before any request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from llmproxy.plugin import ConfigError, Section, Size, has_dot_segment, normalise_path
from llmproxy_rewrite.deprecation import check_link, read_time
from llmproxy_rewrite.expressions import compile_expression
from llmproxy_rewrite.fields import CODING, FRAMING
from llmproxy_rewrite.pointers import read_pointer
from llmproxy_rewrite.templates import Shape, Source, Template

MOST_CHANGES: Final = 64

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PREFIX: Final = re.compile(r"(/[!-.0-~]+)+")
_CHANGES: Final = ("set", "default", "remove", "rename")


def _check_count(changes: tuple[Change, ...]) -> None:
    if len(changes) > MOST_CHANGES:
        raise ConfigError("body", f"more than {MOST_CHANGES} changes")


def _check_template(path: str, text: str, groups: Iterable[str] | None = None) -> None:
    _check_sources(path, _checked(path, Template, text).sources, groups)


def _check_sources(path: str, sources: Iterable[Source], groups: Iterable[str] | None = None) -> None:
    for source in sources:
        if source.kind == "match" and source.name not in (groups or ()):
            raise ConfigError(path, f"no group of an expression here is called {source.name!r}")


def _checked(path: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError as fault:
        raise ConfigError(path, str(fault)) from fault


class RewriteConfig(Section, frozen=True):
    """Bounds that hold on every route."""

    max_body: Size = 1024 * 1024


class Replace(Section, frozen=True):
    """A path that matches `path` as a whole becomes `by`, which may hold `{match.NAME}` for its named groups."""

    path: str
    by: str

    def __post_init__(self) -> None:
        expression = _checked("path", compile_expression, self.path)
        _check_template("by", self.by, groups=expression.groupindex)


class PathRewrite(Section, frozen=True):
    """How the path is rewritten: `to`, or `strip`, `replace` and `add`."""

    to: str | None = None
    strip: str | None = None
    replace: tuple[Replace, ...] = ()
    add: str | None = None

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`path: "/api/orders/{path.id}"` is the whole new path."""
        return {"to": tree} if isinstance(tree, str) else tree

    def __post_init__(self) -> None:
        others = [key for key in ("strip", "replace", "add") if getattr(self, key)]
        if self.to is not None:
            if others:
                raise ConfigError(
                    "to",
                    f"is the whole path, so {others[0]} beside it would do nothing",
                )
            if not self.to.startswith("/"):
                raise ConfigError("to", f"{self.to!r} is no path")
            _check_template("to", self.to)
        elif not others:
            raise ConfigError("", "empty; write to, strip, replace or add")
        for key in ("strip", "add"):
            prefix = getattr(self, key)
            if prefix is not None and (
                not _PREFIX.fullmatch(prefix) or has_dot_segment(normalise_path(prefix))
            ):
                raise ConfigError(
                    key,
                    f"{prefix!r} is no prefix such as /v1, without a slash at its end",
                )


class NamedValues(Section, frozen=True):
    """Changes of named values: removed, renamed, set, added, in this order."""

    remove: tuple[str, ...] = ()
    rename: Mapping[str, str] = {}
    set: Mapping[str, str] = {}
    add: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        for key, texts in (("set", self.set), ("add", self.add)):
            for name, text in texts.items():
                _check_template(f"{key}.{name}", text)


class HeaderEdits(NamedValues, frozen=True):
    """Changes of header fields; names without regard to case."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self._names():
            plain = name.lower().replace("_", "-")
            if not _TOKEN.fullmatch(name) or "*" in name:
                raise ConfigError("", f"{name!r} is no header such as X-User")
            if plain in FRAMING or plain in CODING:
                raise ConfigError(
                    "",
                    f"{name!r} says how a message is sent, which the gateway alone knows",
                )

    def _names(self) -> Iterable[str]:
        for name in self.remove:
            yield name.removesuffix("*") if len(name) > 2 else name
        yield from (*self.rename, *self.rename.values(), *self.set, *self.add)


class Change(Section, frozen=True):
    """One change of a JSON body: `set`, `default`, `remove` or `rename` hold where, `to` what or how it is called."""

    set: str | None = None
    default: str | None = None
    remove: str | None = None
    rename: str | None = None
    to: Any = msgspec.UNSET

    def __post_init__(self) -> None:
        given = [key for key in _CHANGES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ConfigError("", f"write one of {', '.join(_CHANGES)}, and what goes there as to")
        key = given[0]
        _checked(key, read_pointer, getattr(self, key))
        if (self.to is msgspec.UNSET) != (key == "remove"):
            raise ConfigError(
                "to",
                "missing" if key != "remove" else "of no use where a value is removed",
            )
        if key == "rename" and not isinstance(self.to, str):
            raise ConfigError("to", "the new name of a member is a text")
        if key in ("set", "default"):
            _check_sources("to", _checked("to", Shape, self.to).sources)


class ReplyRewrite(Section, frozen=True):
    """Changes of answers: headers of all, bodies of those with a status of 2xx."""

    headers: HeaderEdits = HeaderEdits()
    body: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        _check_count(self.body)


class Deprecated(Section, frozen=True):
    """What callers are told of an old version: since when, until when, where to read, where to go."""

    since: str = ""
    sunset: str = ""
    link: str = ""
    successor: str = ""

    def __post_init__(self) -> None:
        for key in ("since", "sunset"):
            if text := getattr(self, key):
                _checked(key, read_time, text)
        for key in ("link", "successor"):
            if text := getattr(self, key):
                _checked(key, check_link, text)
        if self.since and self.sunset and read_time(self.sunset) < read_time(self.since):
            raise ConfigError(
                "sunset",
                "before since: nothing ends before it is deprecated (RFC 9745 section 4)",
            )


class RewriteRoute(Section, frozen=True):
    """What a route changes: of requests, of answers, and what it says of its own end."""

    path: PathRewrite | None = None
    query: NamedValues = NamedValues()
    headers: HeaderEdits = HeaderEdits()
    body: tuple[Change, ...] = ()
    reply: ReplyRewrite = ReplyRewrite()
    deprecated: Deprecated | None = None

    def __post_init__(self) -> None:
        _check_count(self.body)
