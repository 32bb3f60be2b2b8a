"""The plugin's configuration, and the options of `auth: oauth2`."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from llmproxy.plugin import ConfigError, Secret, Section, UpstreamTls

_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_FIXED: Final = frozenset({"grant_type", "client_id", "client_secret", "scope", "audience", "resource"})


class OAuth2Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set: credentials belong to upstreams."""


class OAuth2Options(Section, frozen=True):
    """Where tokens are had, by whom, and for what."""

    token_url: str
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    resource: str | None = None
    credentials: Literal["header", "form"] = "header"
    form: dict[str, str] = {}  # noqa: RUF012  # msgspec copies it
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.token_url)
            safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        except ValueError:
            safe, parts = False, urlsplit("")
        if not safe or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ConfigError("token_url", 'no https address, as in "https://login.example.com/oauth2/token"')
        if any(re.search(r"\s", scope) or not scope for scope in self.scopes):
            raise ConfigError("scopes", "a scope is a word")
        for name in sorted(_FIXED & self.form.keys()):
            raise ConfigError("form", f"{name!r} has a key of its own, or is always the same")
