"""The plugin's configuration, checked for what would make a key worthless."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, PostgresUrl, Secret, Section
from llmproxy_access.issuing import SHORTEST_PEPPER
from llmproxy_access.keys import digest_of
from llmproxy_access.tokensettings import IssuerConfig

#: Characters that a key needs at least: 12 random ones of base64 hold 72 bits, ours have 43 characters.
MIN_LENGTH = 12

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Key(Section, frozen=True):
    """One key: a public name, the tenant it stands for, and the key by reference or its SHA-256.

    `org`, `team` and `user` are whose it is within the tenant: limits and reports go by them.
    """

    name: str
    tenant: str
    org: str | None = None
    team: str | None = None
    user: str | None = None
    key: Secret | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("name", "empty; a name tells in logs and metrics which key was used")
        if not self.tenant:
            raise ConfigError("tenant", "empty; what is stored is kept apart by tenant")
        for kind in ("org", "team", "user"):
            if getattr(self, kind) == "":
                raise ConfigError(kind, f"empty; leave it out for a key that has no {kind}")
        if (self.key is None) == (self.sha256 is None):
            raise ConfigError("key", "write either key or sha256")
        if self.key is not None and len(self.key.reveal()) < MIN_LENGTH:
            raise ConfigError("key", f"shorter than {MIN_LENGTH} characters, so it could be guessed")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ConfigError("sha256", "not 64 hexadecimal digits; `llmproxy access hash-key` prints them")

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Whose it is within the tenant."""
        pairs = (("org", self.org), ("team", self.team), ("user", self.user))
        return tuple((kind, name) for kind, name in pairs if name)

    @property
    def digest(self) -> bytes:
        """The key's SHA-256."""
        if self.key is not None:
            return digest_of(self.key.reveal().encode())
        return bytes.fromhex(self.sha256 or "")


class DatabaseConfig(Section, frozen=True):
    """Where keys are kept that are made while the gateway runs: an SQLite file, or a Postgres that gateways share.

    `pepper` is what they are hashed with: it stands outside the database, and nobody without it can use or make a key.
    When the database cannot be read, its keys go on for `stale` as they were last known.
    """

    path: str | None = None
    url: PostgresUrl | None = None
    pepper: Secret | None = None
    stale: Duration = 600.0

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url is None):
            raise ConfigError("path", "write either path, of an SQLite file, or url, of a Postgres")
        if self.path is not None and not self.path.strip():
            raise ConfigError("path", "empty; name the file, such as /var/lib/llmproxy/access.db")
        if self.pepper is None:
            raise ConfigError("pepper", "missing; write '${env:NAME}' of 32 random characters or more")
        if len(self.pepper.reveal()) < SHORTEST_PEPPER:
            raise ConfigError("pepper", f"shorter than {SHORTEST_PEPPER} characters, so it could be guessed")
        if self.stale < 1:
            raise ConfigError(
                "stale", "less than 1s, in which the database may not yet have been asked again"
            )


class AccessConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`keys` lets in who holds one of them; `open` lets in everybody who can reach a local listener.

    Keys of the configuration, keys of the database and tokens of issuers are let in beside one another.
    """

    mode: Literal["keys", "open"] = "keys"
    keys: tuple[Key, ...] = ()
    database: DatabaseConfig | None = None
    jwt: tuple[IssuerConfig, ...] = ()

    def __post_init__(self) -> None:
        named = [name for name in ("keys", "database", "jwt") if getattr(self, name)]
        if self.mode == "keys" and not named:
            raise ConfigError("keys", 'empty, so nobody could come in; add a key, or write mode: "open"')
        if self.mode == "open" and named:
            raise ConfigError(named[0], 'of no use in mode "open"; remove them, or the mode')
        _refuse_twins("keys", "name", [key.name for key in self.keys])
        _refuse_twins("keys", "key", [key.digest for key in self.keys])
        _refuse_twins("jwt", "issuer", [issuer.issuer for issuer in self.jwt])
        names = {key.name for key in self.keys}
        _refuse_twins("jwt", "name", [issuer.name for issuer in self.jwt])
        for index, issuer in enumerate(self.jwt):
            if issuer.name in names:
                raise ConfigError(f"jwt[{index}].name", "a key has the same name")

    @property
    def labels(self) -> frozenset[str]:
        """What callers may be told apart by, besides tenant and key."""
        if self.database is not None:
            return frozenset({"org", "team", "user"})
        claimed = {kind for issuer in self.jwt for kind in issuer.claims.labels}
        return frozenset({kind for key in self.keys for kind, _ in key.labels} | claimed)

    @property
    def names(self) -> frozenset[str]:
        """The names that keys have from here."""
        return frozenset({key.name for key in self.keys} | {issuer.name for issuer in self.jwt})


def _refuse_twins(where: str, what: str, values: Sequence[str | bytes]) -> None:
    twins = {value for value, count in Counter(values).items() if count > 1}
    for index, value in enumerate(values):
        if value in twins:
            raise ConfigError(f"{where}[{index}].{what}", f"the same {what} stands twice in the list")


class AccessRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tenants may use a route; all of them where nothing is said."""

    tenants: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.tenants == ():
            raise ConfigError("tenants", "empty, so nobody could use the route; leave it out for everybody")
