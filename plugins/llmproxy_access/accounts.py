"""The organisations, teams and users of a database."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import orjson

from llmproxy_access.records import (
    Account,
    AccountKind,
    AccountOrder,
    KeyOrder,
    OrderRefused,
    check_name,
    check_order,
    is_name,
)
from llmproxy_access.schema import Rows

_ALL = "SELECT kind, name, tenant, org, models, routes, created FROM accounts ORDER BY kind, name"
_OWNER = "SELECT tenant, org FROM accounts WHERE kind = ? AND name = ?"
_PUT = """
INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET models = excluded.models, routes = excluded.routes
"""


class Owner(NamedTuple):
    """Whose an account or a key is."""

    tenant: str
    org: str | None


class AccountTable:
    """What keys belong to. What once belongs to a tenant stays his: counts and answers are kept apart by tenant."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def all(self) -> tuple[Account, ...]:
        """Return all accounts."""
        return tuple(
            Account(
                kind=kind,
                name=name,
                tenant=tenant,
                org=org,
                models=names_of(models),
                routes=names_of(routes),
                created=created,
            )
            for kind, name, tenant, org, models, routes, created in self._rows.all(_ALL)
        )

    def put(self, kind: AccountKind, name: str, order: AccountOrder, now: float) -> None:
        """Make an account, or change its lists.

        Raises:
            OrderRefused: it would belong to nobody, to an organisation that is not there, or to another than before.
        """
        check_name(name, kind)
        check_order(order)
        with self._rows.changing():
            owner = Owner(order.tenant or name, None) if kind == "org" else self.owner_of(order)
            if kind == "org" and order.org is not None:
                raise OrderRefused(400, "bad_account", "An organisation belongs to no other.")
            there = self._rows.found(_OWNER, kind, name)
            if there is not None and there != owner:
                text = f"The {kind} {name!r} belongs to another tenant or organisation; it cannot be moved."
                raise OrderRefused(409, "account_moved", text)
            self._rows.run(_PUT, kind, name, *owner, text_of(order.models), text_of(order.routes), now)

    def drop(self, kind: AccountKind, name: str) -> None:
        """Remove an account that nothing belongs to.

        Raises:
            OrderRefused: there is none, or something belongs to it.
        """
        with self._rows.changing():
            self._owner(kind, name)
            used = self._rows.found(f'SELECT 1 FROM keys WHERE "{kind}" = ?', name)  # noqa: S608  # one of three
            if kind == "org":
                used = used or self._rows.found("SELECT 1 FROM accounts WHERE org = ?", name)
            if used:
                raise OrderRefused(
                    409, "account_used", f"Keys, teams or users belong to the {kind} {name!r}."
                )
            self._rows.run("DELETE FROM accounts WHERE kind = ? AND name = ?", kind, name)

    def owner_of(self, order: AccountOrder | KeyOrder) -> Owner:
        """Return whose an ordered account or key will be.

        Raises:
            OrderRefused: nobody's, or that of several.
        """
        kinds: tuple[AccountKind, ...] = ("org", "team", "user")
        named = [(kind, getattr(order, kind, None)) for kind in kinds]
        owners = {
            self._owner(kind, name, f"; make it first, as with `llmproxy keys put {kind}`")
            for kind, name in named
            if name is not None
        }
        if len(owners) > 1:
            raise OrderRefused(409, "other_org", "The org, team and user are not of one organisation.")
        if not owners and order.tenant is None:
            raise OrderRefused(400, "no_tenant", "Name an organisation, or a tenant.")
        owner = owners.pop() if owners else Owner(order.tenant or "", None)
        if order.tenant not in {None, owner.tenant}:
            raise OrderRefused(409, "other_tenant", f"What it belongs to is of the tenant {owner.tenant!r}.")
        return owner

    def _owner(self, kind: AccountKind, name: str, remedy: str = "") -> Owner:
        # Not every database takes every text.
        found = self._rows.found(_OWNER, kind, name) if is_name(name) else None
        if found is None:
            raise OrderRefused(404, "no_such_account", f"There is no {kind} {name[:100]!r}{remedy}.")
        return Owner(found[0], name if kind == "org" else found[1])


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Return a list as it is kept."""
    return None if text is None else msgspec.json.decode(text, type=tuple[str, ...])


def text_of(names: tuple[str, ...] | None) -> str | None:
    """Return how a list is kept."""
    return None if names is None else orjson.dumps(names).decode()
