"""`llmproxy logs`: what an operator looks for in the records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import orjson

from llmproxy.plugin import Clock, PostgresUrl, config_option, configured_plugins
from llmproxy_calllog.asking import AnyReader, NotALog
from llmproxy_calllog.call import told
from llmproxy_calllog.filtering import BadFilter, Filter, read_filter
from llmproxy_calllog.opening import open_reader
from llmproxy_calllog.plugin import CallLogPlugin
from llmproxy_calllog.table import row
from llmproxy_calllog.warming import warm_lines

_POLL: Final = 0.5
_PAGE: Final = 500

_Command = Callable[..., None]


def _filters(command: _Command) -> _Command:
    options = (
        ("--tenant", "Of this tenant only."),
        ("--key", "With the key of this name."),
        ("--org", "Of this organisation."),
        ("--team", "Of this team."),
        ("--user", "Of this user."),
        ("--route", "On this route."),
        ("--model", "For the model of this public name."),
        ("--upstream", "Last sent to this upstream."),
        ("--id", "Of this request id."),
        ("--result", "Which ended so: ok, hit, answered, refused, upstream_error, cut, client_gone."),
        ("--error", "With this error code."),
        ("--cache", "Which a cache took so: hit, joined, miss."),
        ("--status", "With this status, such as 429, or class of them, such as 5xx."),
        ("--since", "Begun since: so long ago, such as 2h, or a time such as 2026-11-22T09:30 (UTC)."),
        ("--until", "Begun before, likewise."),
        ("--slower-than", "Which took longer, such as 5s."),
        ("--text", "With these words in a body, where bodies are kept."),
    )
    for name, text in reversed(options):
        command = click.option(name, help=text)(command)
    return command


@click.command()
@click.argument("database", envvar="LLMPROXY_CALLLOG", required=False)
@config_option("Instead of DATABASE: the configuration that says where the records are.")
@_filters
@click.option("--failed", is_flag=True, help="Which were refused, failed or broke off.")
@click.option("-n", "--limit", type=click.IntRange(1), default=50, show_default=True, help="So many at most.")
@click.option("--bodies", is_flag=True, help="With what was kept of bodies; as JSON.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON each.")
@click.option(
    "--warm", is_flag=True, help="As a file for `llmproxy cache warm`, where bodies are kept in full."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come.")
def logs(
    database: str | None,
    path: Path | None,
    *,
    limit: int,
    failed: bool,
    bodies: bool,
    as_json: bool,
    warm: bool,
    follow: bool,
    **asked: str | None,
) -> None:
    """Show recorded calls, the newest last; DATABASE is the file of the plugin calllog, or its Postgres by URL."""
    words = {name: text for name, text in asked.items() if text is not None}
    words |= {name: "true" for name, flag in (("failed", failed), ("bodies", bodies or warm)) if flag}
    try:
        wanted = read_filter(words, Clock().wall())
        reader = _configured(path) if path is not None else _opened(database)
    except BadFilter as fault:
        raise click.UsageError(f"--{str(fault).replace('slower_than', 'slower-than')}") from None
    except NotALog as fault:
        raise click.ClickException(str(fault)) from None
    try:
        found = _found(reader, wanted, limit, follow=follow)
        lines: Iterable[str | bytes] = (
            warm_lines(found) if warm else map(_json if as_json or bodies else row, found)
        )
        for line in lines:
            click.echo(line)
    except KeyboardInterrupt:
        pass
    except NotALog as fault:
        raise click.ClickException(str(fault)) from None
    finally:
        reader.close()


def _configured(path: Path) -> AnyReader:
    configs = [plugin.config for plugin in configured_plugins(path, CallLogPlugin).values()]
    found = {(config.path, config.url) for config in configs if config.to in {"sqlite", "postgres"}}
    if len(found) != 1:
        raise click.UsageError(
            f"{str(path)!r} configures {len(found)} databases of calls; name one: llmproxy logs DATABASE"
        )
    [(file, url)] = found
    return _opened(file) if url is None else open_reader(None, url)


def _opened(database: str | None) -> AnyReader:
    if database is None:
        raise click.UsageError(
            "say where the records are: -c FILE, or DATABASE, a file or a Postgres by its URL"
        )
    if "://" not in database:
        try:
            return open_reader(Path(database), None)
        except NotALog as fault:
            raise NotALog(f"{database}: {fault}") from None
    try:
        return open_reader(None, PostgresUrl.from_command(database))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None


def _json(call: dict[str, Any]) -> bytes:
    return orjson.dumps(told(call))


def _found(reader: AnyReader, wanted: Filter, limit: int, *, follow: bool) -> Iterator[dict[str, Any]]:
    """Give the newest `limit` records, oldest first, and then those that come."""
    last = reader.newest()  # before the first page: what comes meanwhile comes once
    yield from reversed(list(_newest(reader, wanted, limit, last + 1)))
    while follow:
        newest = reader.newest()
        page = reader.read(msgspec.structs.replace(wanted, after=last, before=None, limit=_PAGE))
        yield from page
        if len(page) == _PAGE:
            last = page[-1]["number"]
        else:  # all up to there was looked at, whether it fits or not
            last = max(newest, page[-1]["number"] if page else 0)
            time.sleep(_POLL)


def _newest(reader: AnyReader, wanted: Filter, limit: int, before: int) -> Iterator[dict[str, Any]]:
    while limit > 0:
        page = reader.read(msgspec.structs.replace(wanted, before=before, limit=min(limit, _PAGE)))
        yield from page
        if len(page) < min(limit, _PAGE):
            return
        limit, before = limit - len(page), page[-1]["number"]
