"""Where a Postgres is, and how to come in: a URL that is told without what it holds."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from llmproxy.references import Resolved, Secret, quoted

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
#: libpq's words for how far TLS is insisted on.
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class PostgresUrl(Secret):
    """``postgres://user:password@host:5432/database?sslmode=verify-full``, by reference where it holds a password.

    Options are libpq's and the server's own settings. One is ours: `schema`, in which the tables are made. A host
    that is a path is the folder of a Unix socket (``postgres:///llmproxy?host=/run/postgresql``).
    """

    __slots__ = ()

    accepts_literal: ClassVar[bool] = True

    @classmethod
    def from_plain(cls, value: object) -> Self:
        """Take a decoded value, or raise a ValueError that never repeats it."""
        url = super().from_plain(value)
        assert isinstance(url, cls)
        password = _check(url.reveal())
        if password and not isinstance(value, Resolved):
            raise ValueError("a password is not written out; write it as ${env:NAME} or ${file:PATH}")
        return url

    @classmethod
    def from_command(cls, text: str) -> Self:
        """Take what somebody tells a command, or its environment, with or without a password.

        Raises:
            ValueError: it is no such URL; what it holds is not repeated.
        """
        _check(text)
        return cls(text)

    @property
    def place(self) -> str:
        """Where it is, for logs and errors: the host, the port if one is told, and the database."""
        split = urlsplit(self.reveal())
        options = dict(parse_qsl(split.query))
        host = unquote(split.netloc.rpartition("@")[2]) or options.get("host", "localhost")
        return f"{host}{split.path}"

    @property
    def schema(self) -> str | None:
        """The schema that is asked for."""
        return dict(parse_qsl(urlsplit(self.reveal()).query)).get("schema")

    @property
    def address(self) -> str:
        """All that a driver takes, with the password."""
        split = urlsplit(self.reveal())
        options = [(name, value) for name, value in parse_qsl(split.query) if name != "schema"]
        address = f"{split.scheme}://{split.netloc}{split.path}"
        return f"{address}?{urlencode(options)}" if options else address


def _check(text: str) -> str | None:
    """Refuse what cannot be meant; return the password."""
    try:
        split = urlsplit(text)
        options = dict(parse_qsl(split.query, strict_parsing=bool(split.query)))
        password = split.password
    except ValueError:
        raise ValueError("the URL is malformed (escape reserved characters as %40 for '@')") from None
    if split.scheme not in {"postgres", "postgresql"}:
        raise ValueError("a Postgres URL starts with 'postgres://', as in postgres://user@host:5432/database")
    # One in another part is what an unescaped character of the password has cut off; none of it may be taken for a host.
    if text.count("@") != split.netloc.count("@") or text.count("@") > 1 or split.fragment:
        raise ValueError(
            "the URL holds characters that have to be escaped ('@' as %40, '/' as %2F, '#' as %23, '?' as %3F)"
        )
    try:
        # Several hosts may be listed, each with its port.
        for host in split.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise ValueError("the URL's port is not a number up to 65535") from None
    _check_options(options)
    return password or options.get("password")


def _check_options(options: dict[str, str]) -> None:
    if (mode := options.get("sslmode", "prefer")) not in _SSL_MODES:
        raise ValueError(f"sslmode {quoted(mode)} is none of {', '.join(_SSL_MODES)}")
    if (schema := options.get("schema")) is not None and not _SCHEMA.fullmatch(schema):
        raise ValueError(
            f"schema {quoted(schema)} is no name of lower-case letters, digits and _ (63 at most)"
        )
