"""The plugin's configuration, checked for what browsers would not take, or what would let anybody in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration
from llmproxy_cors.origins import Origins

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Methods that no page may send (Fetch standard, forbidden method).
_FORBIDDEN: Final = frozenset({"CONNECT", "TRACE", "TRACK"})


class CorsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy: which pages may send what, and read what."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: Duration = 600.0
    private_network: bool = False
    others: Literal["pass", "refuse"] = "pass"

    def __post_init__(self) -> None:
        for index, origin in enumerate(self.origins):
            try:
                Origins([origin])
            except ValueError as fault:
                raise ConfigError(f"origins[{index}]", str(fault)) from fault
        _check_tokens("methods", self.methods)
        _check_tokens("headers", self.headers)
        _check_tokens("expose", self.expose)
        for index, method in enumerate(self.methods):
            if method in _FORBIDDEN or method != method.upper():
                raise ConfigError(
                    f"methods[{index}]", f"{method!r} is no method that a page may send, such as PUT"
                )
        if self.credentials:
            self._check_credentials()
        if self.others == "refuse" and "*" in self.origins:
            raise ConfigError("others", "there are no others than *, so nobody would be refused")

    def _check_credentials(self) -> None:
        if "*" in self.origins:
            message = "with credentials every site could act as whoever looks at it; name the origins"
            raise ConfigError("origins", message)
        if "*" in self.expose:
            raise ConfigError("expose", "browsers take no * here together with credentials; name the headers")


class CorsRoute(CorsConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route's own policy: if it writes anything, that stands in place of the plugin's as a whole."""


def _check_tokens(key: str, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if _TOKEN.fullmatch(name) is None:
            raise ConfigError(f"{key}[{index}]", f"{name!r} is no name such as X-Request-Id")
