"""The plugin's configuration, and what a route may say otherwise."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, Size, StoreName

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"})

#: Statuses by which an upstream says that it did nothing: RFC 9110 §15.5.2 (401 "has not been applied"), §15.5.9,
#: §15.5.20, RFC 8470 §5.2, RFC 6585 §4; 409 is what a concurrent request makes of this one.
NOT_EXECUTED = (401, 408, 409, 421, 425, 429)

#: Seconds that a lease needs at least: it is renewed three times in its length, by a loop that may be busy.
SHORTEST_LEASE = 0.5


class IdempotencyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where results are kept, for how long, for which requests, and what happens where nobody knows."""

    store: StoreName
    ttl: Duration = 86400.0
    lease: Duration = 10.0
    header: str = "Idempotency-Key"
    methods: tuple[str, ...] = ("POST", "PATCH")
    required: bool = False
    max_body: Size = 1 << 20
    not_executed: tuple[int, ...] = NOT_EXECUTED
    on_unknown: Literal["refuse", "resend"] = "refuse"
    on_store_fault: Literal["refuse", "pass"] = "refuse"
    forward: Literal["scoped", "unchanged", "none"] = "scoped"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.header):
            raise ConfigError("header", f"{self.header!r} cannot be the name of a header")
        if self.lease < SHORTEST_LEASE:
            raise ConfigError(
                "lease", f"shorter than {SHORTEST_LEASE:g}s, so that a busy worker would seem dead"
            )
        _check(self.ttl, self.methods, self.not_executed)


class IdempotencyRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a route has otherwise; what it leaves out is as the plugin's configuration says."""

    ttl: Duration | None = None
    methods: tuple[str, ...] | None = None
    required: bool | None = None
    max_body: Size | None = None
    not_executed: tuple[int, ...] | None = None
    on_unknown: Literal["refuse", "resend"] | None = None
    on_store_fault: Literal["refuse", "pass"] | None = None
    forward: Literal["scoped", "unchanged", "none"] | None = None

    def __post_init__(self) -> None:
        _check(self.ttl, self.methods, self.not_executed)

    def over(self, general: IdempotencyConfig) -> IdempotencyConfig:
        """Return what holds on this route."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(
            general, **{name: value for name, value in named.items() if value is not None}
        )


def _check(ttl: float | None, methods: tuple[str, ...] | None, statuses: tuple[int, ...] | None) -> None:
    if ttl is not None and ttl <= 0:
        raise ConfigError("ttl", "nothing would be kept; write how long a caller may go on trying, as in 24h")
    if methods == ():
        raise ConfigError("methods", "empty, so no request would be covered")
    for index, method in enumerate(methods or ()):
        if method in _SAFE or not method.isalpha() or not method.isupper():
            raise ConfigError(
                f"methods[{index}]", f"{method!r} is no unsafe method in capitals, such as POST"
            )
    for index, status in enumerate(statuses or ()):
        if not 400 <= status <= 599:
            raise ConfigError(
                f"not_executed[{index}]", f"{status} is no error: 400 to 599 may say that nothing was done"
            )
