"""Keys and what they belong to, in a database. Used from one thread; nothing here is on the path of a request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import cast

import apsw

from llmproxy.plugin import StartError
from llmproxy_access.accounts import AccountTable, names_of, text_of
from llmproxy_access.issuing import Issued, Pepper
from llmproxy_access.records import (
    AccountKind,
    AccountOrder,
    Contents,
    KeyOrder,
    KeyRecord,
    OrderRefused,
    SecretRecord,
    check_name,
    check_order,
    is_name,
)
from llmproxy_access.schema import FileRows, Rows, connect

_KEYS = 'SELECT name, tenant, org, team, "user", models, routes, created, revoked FROM keys ORDER BY name'
_SECRETS = "SELECT id, key, digest, created, expires, revoked FROM secrets ORDER BY created, id"
_LIFETIME = "SELECT expires - created FROM secrets WHERE key = ? ORDER BY created DESC LIMIT 1"
_END = "UPDATE secrets SET expires = ? WHERE key = ? AND coalesce(expires > ?, TRUE)"


class Database:
    """What can be done with its rows; every change counts the version up, so that others see that there was one."""

    def __init__(self, rows: Rows, pepper: Pepper, wall: Callable[[], float]) -> None:
        """Take over the rows, which are closed with it.

        Raises:
            StartError: the keys were made with another pepper.
        """
        self._pepper = pepper
        self._wall = wall
        self._rows = rows
        self._accounts = AccountTable(rows)
        try:
            if rows.mark(pepper.mark) != pepper.mark:
                raise StartError("database.pepper: not the one that this database's keys were made with")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        self._rows.close()

    def version(self) -> int:
        """Return how often it was changed."""
        return self._rows.version()

    def read(self) -> Contents:
        """Return all of it, as it is at one moment."""
        with self._rows.reading():
            secrets = defaultdict[str, list[SecretRecord]](list)
            for row in self._rows.all(_SECRETS):
                each = SecretRecord(**dict(zip(SecretRecord.__struct_fields__, row, strict=True)))
                secrets[each.key].append(each)
            return Contents(self.version(), self._accounts.all(), self._keys(secrets))

    def key(self, name: str) -> KeyRecord:
        """Return a key by its name.

        Raises:
            OrderRefused: there is none.
        """
        for key in self.read().keys:
            if key.name == name:
                return key
        raise _no_key(name)

    def create(self, order: KeyOrder) -> Issued:
        """Make a key; its text is returned and kept nowhere.

        Raises:
            OrderRefused: its name is taken, or what it names is not there or of another organisation.
        """
        check_name(order.name, "name")
        check_order(order)
        with self._rows.changing():
            if self._rows.found("SELECT 1 FROM keys WHERE name = ?", order.name):
                message = (
                    f"There is a key {order.name!r} already, or was once; rotate it, or take another name."
                )
                raise OrderRefused(409, "name_taken", message)
            owner, now = self._accounts.owner_of(order), self._wall()
            lists = text_of(order.models), text_of(order.routes)
            row = (order.name, *owner, order.team, order.user, *lists, now)
            self._rows.run("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", *row)
            return self._add_secret(order.name, now, order.lifetime)

    def rotate(self, name: str, overlap: float, lifetime: float | None = None) -> Issued:
        """Give a key another secret; those that it has end after `overlap` seconds at the latest.

        The new one lives for `lifetime` seconds, or as long as the newest was meant to.

        Raises:
            OrderRefused: there is no such key, or it was revoked.
        """
        _check_known(name)
        with self._rows.changing():
            revoked = self._rows.found("SELECT revoked FROM keys WHERE name = ?", name)
            if revoked is None:
                raise _no_key(name)
            if revoked[0] is not None:
                raise OrderRefused(409, "key_revoked", f"The key {name!r} was revoked; make another.")
            now = self._wall()
            if lifetime is None and (newest := self._rows.found(_LIFETIME, name)):
                lifetime = newest[0]
            self._rows.run(_END, now + overlap, name, now + overlap)
            return self._add_secret(name, now, lifetime)

    def revoke(self, named: str) -> str:
        """Revoke a key by its name, or one of its secrets by the public id; return the key's name.

        Raises:
            OrderRefused: there is neither.
        """
        _check_known(named)
        now = self._wall()
        with self._rows.changing():
            if self._rows.found("SELECT 1 FROM keys WHERE name = ?", named):
                self._rows.run("UPDATE keys SET revoked = coalesce(revoked, ?) WHERE name = ?", now, named)
                self._rows.run("UPDATE secrets SET revoked = coalesce(revoked, ?) WHERE key = ?", now, named)
                return named
            found = self._rows.found("SELECT key FROM secrets WHERE id = ?", named)
            if found is None:
                raise _no_key(named)
            self._rows.run("UPDATE secrets SET revoked = coalesce(revoked, ?) WHERE id = ?", now, named)
            return cast("str", found[0])

    def put(self, kind: AccountKind, name: str, order: AccountOrder) -> None:
        """Make an organisation, a team or a user, or change its lists; see `AccountTable`."""
        self._accounts.put(kind, name, order, self._wall())

    def drop(self, kind: AccountKind, name: str) -> None:
        """Remove one that nothing belongs to."""
        self._accounts.drop(kind, name)

    def _keys(self, secrets: dict[str, list[SecretRecord]]) -> tuple[KeyRecord, ...]:
        return tuple(
            KeyRecord(
                name=name,
                tenant=tenant,
                org=org,
                team=team,
                user=user,
                models=names_of(models),
                routes=names_of(routes),
                created=created,
                revoked=revoked,
                secrets=tuple(secrets.get(name, ())),
            )
            for name, tenant, org, team, user, models, routes, created, revoked in self._rows.all(_KEYS)
        )

    def _add_secret(self, key: str, now: float, lifetime: float | None) -> Issued:
        issued = self._pepper.issue()
        expires = None if lifetime is None else now + lifetime
        row = (issued.id, key, issued.digest, now, expires)
        self._rows.run("INSERT INTO secrets VALUES (?, ?, ?, ?, ?, NULL)", *row)
        return issued._replace(expires=expires)


def open_file(path: Path, pepper: Pepper, wall: Callable[[], float]) -> Database:
    """Open the database of a file, and make it if there is none.

    Raises:
        StartError: it cannot be used, or its keys were made with another pepper.
    """
    try:
        rows = FileRows(connect(path))
    except (apsw.Error, OSError) as fault:
        why = getattr(fault, "strerror", None) or type(fault).__name__
        raise StartError(f"database.path: {str(path)!r} cannot be opened: {why}") from fault
    return Database(rows, pepper, wall)


def _check_known(named: str) -> None:
    # Not every database takes every text.
    if not is_name(named):
        raise _no_key(named)


def _no_key(named: str) -> OrderRefused:
    return OrderRefused(404, "no_such_key", f"There is no key {named[:100]!r}.")
