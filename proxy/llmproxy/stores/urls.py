"""Store URLs: read strictly, shown without their secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from llmproxy.references import quoted
from llmproxy.suggestions import nearest


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A store URL taken apart; text and repr leave out credentials and options."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take `text` apart, percent-decoding each piece.

        Raises:
            ValueError: not a store URL. The message never repeats the text, which may hold a password.
        """
        try:
            split = urlsplit(text)
            port = split.port
        except ValueError:
            raise ValueError("a store URL's host or port is malformed (escape reserved characters)") from None
        if not split.scheme:
            raise ValueError("a store URL starts with its scheme, as in 'memory://' or 'redis://host:6379/0'")
        if split.fragment:
            raise ValueError("a store URL has no fragment (write '#' as %23)")
        return cls(
            scheme=split.scheme,
            host=_host(split),
            port=port,
            path=unquote(split.path),
            username=_unquoted(split.username),
            password=_unquoted(split.password),
            options=_options(split.query),
        )

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"

    def read(self, **readers: Callable[[str], Any]) -> dict[str, Any]:
        """Return the options that were given, each through its reader.

        Raises:
            ValueError: an option without a reader, or a value its reader refuses.
        """
        self.refuse_unknown(readers)
        values = {}
        for name, text in self.options.items():
            try:
                values[name] = readers[name](text)
            except ValueError as error:
                raise ValueError(f"option {quoted(name)} of store {self}: {error}") from None
        return values

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Raise ValueError for the first option that is not `known`, naming the nearest that is."""
        names = sorted(known)
        for name in self.options:
            if name not in names:
                near = nearest(name, names)
                hint = f"did you mean {quoted(near)}?" if near else f"known: {', '.join(names) or 'none'}"
                raise ValueError(f"unknown option {quoted(name)} of store {self}; {hint}")

    def refuse_parts(self, *parts: str) -> None:
        """Raise ValueError if one of the named `parts` was given though its scheme has no use for it."""
        for part in parts:
            if getattr(self, part) not in ("", None):
                raise ValueError(f"a {self.scheme}:// store takes no {part}")


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` up."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise ValueError(f"{quoted(text)} is not a whole number from {least} up")
        return int(text)

    return read


def _host(split: SplitResult) -> str:
    """Return the host with its case kept: dotted class names stand there too."""
    host = split.netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return unquote(host.partition(":")[0])


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("a store URL's options are written as ?name=value&name=value") from None
    options = dict(pairs)
    if len(options) != len(pairs):
        twice = next(name for name in options if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"store option {quoted(twice)} is given twice")
    return options
