"""What the database holds: organisations, teams, users, and keys with their secrets."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from llmproxy.plugin import ConfigError
from llmproxy_access.permissions import check_names

#: The kinds of accounts that keys belong to, named as their labels on `Caller`.
AccountKind = Literal["org", "team", "user"]
KINDS: Final[tuple[AccountKind, ...]] = ("org", "team", "user")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}", re.ASCII)


class OrderRefused(Exception):
    """What was asked for cannot be done; `status` is HTTP's for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AccountOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told of an account: `tenant` of an organisation (its name, if left out), `org` of a team or a user."""

    org: str | None = None
    tenant: str | None = None
    models: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None


class Account(AccountOrder, frozen=True, kw_only=True):
    """An organisation, a team or a user."""

    kind: AccountKind
    name: str
    created: float = 0.0


class KeyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told of a new key; its tenant is its organisation's, where it has one. `lifetime` is in seconds."""

    name: str
    tenant: str | None = None
    org: str | None = None
    team: str | None = None
    user: str | None = None
    models: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    lifetime: float | None = None


class SecretRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One of a key's secrets: its public id and what is kept of it. Times are wall time."""

    id: str
    key: str
    digest: bytes
    created: float
    expires: float | None = None
    revoked: float | None = None

    def __repr__(self) -> str:
        return f"SecretRecord({self.id!r})"

    def state(self, now: float) -> str:
        """Return `live`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "live"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key: a public name that stays when its secret is rotated."""

    name: str
    tenant: str
    org: str | None = None
    team: str | None = None
    user: str | None = None
    models: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    created: float = 0.0
    revoked: float | None = None
    secrets: tuple[SecretRecord, ...] = ()

    def state(self, now: float) -> str:
        """Return `live` while one of its secrets is, else how the last of them ended."""
        if self.revoked is not None:
            return "revoked"
        states = [secret.state(now) for secret in self.secrets]
        return "live" if "live" in states else (states or ["revoked"])[-1]

    def told(self, now: float) -> dict[str, Any]:
        """Return what may be shown."""
        secrets = [
            {"id": each.id, "state": each.state(now), "created": each.created, "expires": each.expires}
            for each in self.secrets
        ]
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "secrets"}
        return {**shown, "state": self.state(now), "secrets": secrets}


class Contents(msgspec.Struct, frozen=True):
    """All of a database at one moment."""

    version: int = 0
    accounts: tuple[Account, ...] = ()
    keys: tuple[KeyRecord, ...] = ()


def is_name(name: str) -> bool:
    """Say whether something may be called so; what may not is not there."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str, what: str) -> None:
    """Refuse what is no name.

    Raises:
        OrderRefused: saying what would be one.
    """
    if not is_name(name):
        text = (
            f"{what}: a name has up to 100 letters, digits and . _ @ + -, and starts with a letter or digit"
        )
        raise OrderRefused(400, "bad_name", text)


def check_order(order: AccountOrder | KeyOrder) -> None:
    """Refuse lists that allow nothing and names that are none.

    Raises:
        OrderRefused: saying which.
    """
    try:
        check_names("models", order.models)
        check_names("routes", order.routes)
    except ConfigError as fault:
        raise OrderRefused(400, "bad_list", str(fault)) from None
    for field in ("tenant", "org", "team", "user"):
        if (name := getattr(order, field, None)) is not None:
            check_name(name, field)
