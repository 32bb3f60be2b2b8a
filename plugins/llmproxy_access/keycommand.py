"""`llmproxy keys`: makes, shows, rotates and revokes keys in the database that a configuration or a URL names.

A gateway that runs sees within a second what has changed; none need run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import click
import msgspec
import orjson

from llmproxy.plugin import (
    Clock,
    ConfigError,
    PostgresAway,
    PostgresUrl,
    Secret,
    StartError,
    config_option,
    configured_plugins,
    parse_duration,
)
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database
from llmproxy_access.issuing import Issued
from llmproxy_access.opening import opened
from llmproxy_access.plugin import AccessPlugin
from llmproxy_access.records import KINDS, AccountKind, AccountOrder, KeyOrder, KeyRecord, OrderRefused


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    try:
        seconds = None if value is None else parse_duration(value)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from None
    if value is not None and seconds and value[-1:].isdigit():
        raise click.BadParameter(f"{value} of what? Write {value}d, {value}h or {value}s")
    return seconds


#: Where a pepper is looked for that no configuration tells.
PEPPER_VARIABLE: Final = "LLMPROXY_ACCESS_PEPPER"

_config = config_option("The configuration that names the database.")
_instance = click.option(
    "--plugin", metavar="NAME", help="Which instance of the plugin, where there are several."
)
_url = click.option(
    "--database",
    "url",
    metavar="URL",
    help=f"Instead: a Postgres, as postgres://user@host/name; the pepper is read from {PEPPER_VARIABLE}, "
    "a password from PGPASSWORD.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_models = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model that may be used; all, if none is named.",
)
_routes = click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="NAME",
    help="A route that may be used; all, if none is named.",
)
_lifetime = click.option(
    "--expires", "lifetime", callback=_seconds, metavar="TIME", help="After this time it ends: 90d, 12h."
)
_KEY_HEAD: Final = ("name", "state", "tenant", "org", "team", "user", "until", "ids")
_kind = click.argument("kind", type=click.Choice(KINDS))


class _Where(NamedTuple):
    """What a command was told of the database."""

    path: Path | None
    plugin: str | None
    url: str | None


def _common(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def told(path: Path | None, plugin: str | None, url: str | None, **rest: Any) -> None:
        if (path is None) == (url is None):
            raise click.UsageError("name the database by either --config or --database")
        command(where=_Where(path, plugin, url), **rest)

    return _config(_instance(_url(_json(told))))


@click.group()
def keys() -> None:
    """Work with the keys of a gateway's database, whether it runs or not; one that does obeys within a second."""


@keys.command()
@click.argument("name")
@click.option("--tenant", metavar="NAME", help="Whose it is, where it belongs to no organisation.")
@click.option("--org", metavar="NAME", help="The organisation it belongs to.")
@click.option("--team", metavar="NAME", help="The team it belongs to.")
@click.option("--user", metavar="NAME", help="The user it belongs to.")
@_models
@_routes
@_lifetime
@_common
def create(name: str, where: _Where, *, as_json: bool, **told: Any) -> None:
    """Make a key and print it: this once, for it is kept nowhere."""
    with _opened(where) as (database, taken):
        if name in taken:
            raise click.ClickException(f"the configuration has a key {name!r} already")
        issued = database.create(KeyOrder(name=name, **_listed(told)))
    _print_issued(name, issued, as_json=as_json)


@keys.command("list")
@_common
def list_(where: _Where, *, as_json: bool) -> None:
    """List all keys, by name; no secret is kept, so none is shown."""
    with _opened(where) as (database, _):
        found = database.read().keys
    now = Clock().wall()
    if as_json:
        click.echo(orjson.dumps([key.told(now) for key in found]))
        return
    _print_table(_KEY_HEAD, [_row(key, now) for key in found])


@keys.command()
@click.argument("name")
@_common
def show(name: str, where: _Where, *, as_json: bool) -> None:
    """Show a key: whose it is, what it may use, its secrets by their public ids."""
    with _opened(where) as (database, _):
        key = database.key(name)
    now = Clock().wall()
    click.echo(orjson.dumps(key.told(now)) if as_json else _shown(key, now))


@keys.command()
@click.argument("name")
@click.option(
    "--overlap",
    callback=_seconds,
    metavar="TIME",
    default="24h",
    show_default=True,
    help="How long the old one still works.",
)
@_lifetime
@_common
def rotate(name: str, overlap: float, lifetime: float | None, where: _Where, *, as_json: bool) -> None:
    """Give a key another secret and print it; what it had still works for a while.

    The new one lasts as long as the old one was made for, unless --expires says otherwise.
    """
    with _opened(where) as (database, _):
        issued = database.rotate(name, overlap, lifetime)
    _print_issued(name, issued, as_json=as_json)


@keys.command()
@click.argument("name")
@_common
def revoke(name: str, where: _Where, *, as_json: bool) -> None:
    """Revoke a key by its name, or one of its secrets by the public id."""
    with _opened(where) as (database, _):
        key = database.revoke(name)
    click.echo(orjson.dumps({"name": key, "revoked": name}) if as_json else f"revoked: {name}")


@keys.command("put")
@_kind
@click.argument("name")
@click.option("--tenant", metavar="NAME", help="Whose it is; an organisation's own name, if left out.")
@click.option("--org", metavar="NAME", help="The organisation that a team or a user belongs to.")
@_models
@_routes
@_common
def put(kind: str, name: str, where: _Where, *, as_json: bool, **told: Any) -> None:
    """Make an organisation, a team or a user, or change what those who belong to it may use.

    What is there already has the models and routes that are named now; all, if none is.
    """
    with _opened(where) as (database, _):
        database.put(cast("AccountKind", kind), name, AccountOrder(**_listed(told)))
    click.echo(orjson.dumps({"kind": kind, "name": name}) if as_json else f"{kind}: {name}")


@keys.command("drop")
@_kind
@click.argument("name")
@_common
def drop(kind: str, name: str, where: _Where, *, as_json: bool) -> None:
    """Remove an organisation, a team or a user that nothing belongs to."""
    with _opened(where) as (database, _):
        database.drop(cast("AccountKind", kind), name)
    click.echo(orjson.dumps({"kind": kind, "name": name}) if as_json else f"dropped: {kind} {name}")


@keys.command("accounts")
@_common
def accounts(where: _Where, *, as_json: bool) -> None:
    """List organisations, teams and users."""
    with _opened(where) as (database, _):
        found = database.read().accounts
    if as_json:
        click.echo(orjson.dumps([msgspec.to_builtins(account) for account in found]))
        return
    rows = [
        (
            account.kind,
            account.name,
            account.tenant,
            account.org,
            *map(_joined, (account.models, account.routes)),
        )
        for account in found
    ]
    _print_table(("kind", "name", "tenant", "org", "models", "routes"), rows)


@contextmanager
def _opened(where: _Where) -> Iterator[tuple[Database, frozenset[str]]]:
    """Hold the database, and the names of the keys that the configuration has itself."""
    config, taken = (
        _configured(where.path, where.plugin) if where.path else (_told(where.url or ""), frozenset())
    )
    try:
        with opened(config, Clock().wall) as database:
            yield database, taken
    except (OrderRefused, PostgresAway, StartError) as fault:
        raise click.ClickException(str(fault)) from None


def _configured(path: Path, plugin: str | None) -> tuple[DatabaseConfig, frozenset[str]]:
    configs = {name: each.config for name, each in configured_plugins(path, AccessPlugin).items()}
    found = {name: each for name, each in configs.items() if each.database and plugin in {None, name}}
    if len(found) != 1:
        names = ", ".join(sorted(found))
        raise click.ClickException(
            f"several plugins have a database: name one with --plugin ({names})"
            if found
            else f"{path}: no plugin 'access' {'of this name ' if plugin else ''}has a database; write 'database'"
        )
    config = next(iter(found.values()))
    assert config.database is not None
    return config.database, config.names


def _told(url: str) -> DatabaseConfig:
    pepper = os.environ.get(PEPPER_VARIABLE)
    try:
        return DatabaseConfig(
            url=PostgresUrl.from_command(url), pepper=None if pepper is None else Secret(pepper)
        )
    except ConfigError as fault:
        raise click.ClickException(f"{PEPPER_VARIABLE}: {fault.message}") from None
    except ValueError as fault:
        raise click.ClickException(f"--database: {fault}") from None


def _listed(told: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty lists: they mean that all may be used."""
    return {name: value for name, value in told.items() if value not in {None, ()}}


def _row(key: KeyRecord, now: float) -> tuple[str | None, ...]:
    live = [secret for secret in key.secrets if secret.state(now) == "live"]
    ends = [secret.expires for secret in live if secret.expires is not None]
    until = _date(max(ends)) if live and len(ends) == len(live) else None
    ids = ",".join(secret.id for secret in live)
    return key.name, key.state(now), key.tenant, key.org, key.team, key.user, until, ids


def _joined(names: tuple[str, ...] | None) -> str:
    return "all" if names is None else ",".join(names)


def _print_table(head: tuple[str, ...], rows: list[tuple[str | None, ...]]) -> None:
    cells = [head, *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _print_issued(name: str, issued: Issued, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            orjson.dumps({"name": name, "id": issued.id, "key": issued.key, "expires": issued.expires})
        )
        return
    click.echo(f"key: {issued.key}")
    click.echo(f"id: {issued.id}")
    if issued.expires is not None:
        click.echo(f"until: {_date(issued.expires)}")
    click.echo("The key is shown this once.", err=True)


def _shown(key: KeyRecord, now: float) -> str:
    told = key.told(now)
    lines = [
        f"{name}: {', '.join(value) if isinstance(value, tuple) else value}"
        for name, value in told.items()
        if value is not None and name not in {"secrets", "created", "revoked"}
    ]
    for secret in key.secrets:
        until = "" if secret.expires is None else f", until {_date(secret.expires)}"
        lines.append(f"secret: {secret.id} {secret.state(now)}, since {_date(secret.created)}{until}")
    return "\n".join(lines)


def _date(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M UTC")
