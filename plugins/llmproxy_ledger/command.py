"""`llmproxy usage`: what the ledger tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llmproxy.plugin import PostgresAway, PostgresUrl, config_option, configured_plugins
from llmproxy_ledger.auditing import Audit
from llmproxy_ledger.entries import ReadBooks
from llmproxy_ledger.journal import journals
from llmproxy_ledger.opening import NoLedger, Place, open_books, place_of
from llmproxy_ledger.plugin import LedgerPlugin
from llmproxy_ledger.reporting import (
    GROUPS,
    BadDay,
    Format,
    Period,
    dollars,
    moment,
    printable,
    report,
    rows,
    written,
)

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


def _options(command: Any) -> Any:
    for option in (
        click.option("--tenant", metavar="NAME", help="This tenant's rows only."),
        click.option("--until", metavar="DAY", help="Before this day, or this month."),
        click.option(
            "--since", metavar="DAY", help="From this day on, as 2026-11-22 (UTC), or this month, as 2026-11."
        ),
        click.option(
            "--database",
            envvar="LLMPROXY_LEDGER_DATABASE",
            metavar="URL",
            help="The ledger's Postgres, as postgres://user@host/name.",
        ),
        click.option("--directory", type=_DIRECTORY, metavar="DIR", help="The ledger's directory."),
        config_option("The configuration that says where the ledger is."),
    ):
        command = option(command)
    return command


@click.group()
def usage() -> None:
    """Tell what calls used and cost, by the ledger."""


@usage.command("report")
@_options
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(GROUPS),
    help="What to sum by; may be repeated. By model if not. `model` is what callers asked for, `upstream_model` "
    "what answered.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True
)
def report_command(by: tuple[str, ...], form: Format, **where: Any) -> None:
    """Sum up what calls used and cost. Costs are dollars in text, microdollars in CSV and JSON."""
    with _Opened(where) as (books, period):
        told = list(report(books, by or ("model",), period))
        for line in written(told, form):
            click.echo(line)
        if not told:
            click.echo("no calls in that time", err=True)


@usage.command()
@_options
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def export(form: Format, **where: Any) -> None:
    """Write all rows out: CSV with a head, or a JSON object a line. Costs are microdollars."""
    with _Opened(where) as (books, period):
        for line in written(rows(books, period), form):
            click.echo(line)


@usage.command()
@_options
def audit(**where: Any) -> None:
    """Compute every cost again, and tell each row that does not balance; the exit status is 1 if there is one."""
    with _Opened(where) as (books, period):
        found = Audit(books)
        for fault in found.run(period):
            click.echo(printable(f"{fault.entry} ({fault.attempt}): {fault.why}"))
        click.echo(
            f"{found.rows} rows, {found.faults} faults; settled {dollars(found.settled)}, reserved "
            f"{dollars(found.reserved)}, released {dollars(found.released)}, over {dollars(found.over)}"
        )
        raise click.exceptions.Exit(1 if found.faults else 0)


class _Opened:
    """The ledger's database, and the time that is asked for."""

    def __init__(self, where: dict[str, Any]) -> None:
        self._place = _place(where["path"], where["directory"], where["database"])
        try:
            self._period = Period(moment(where["since"]), moment(where["until"]), where["tenant"])
        except BadDay as fault:
            raise click.ClickException(str(fault)) from None

    def __enter__(self) -> tuple[ReadBooks, Period]:
        waiting = 0 if self._place.directory is None else len(journals(self._place.directory))
        if waiting:
            journals_are = "1 journal is" if waiting == 1 else f"{waiting} journals are"
            click.echo(f"{journals_are} open: what ended in the last moments may be missing", err=True)
        try:
            self._books = open_books(self._place)
        except NoLedger as fault:
            raise click.ClickException(str(fault)) from None
        return self._books, self._period

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        self._books.close()
        if isinstance(fault, PostgresAway):
            raise click.ClickException(str(fault))


def _place(path: Path | None, directory: Path | None, url: str | None) -> Place:
    if url is not None:
        try:
            return Place(directory, PostgresUrl.from_command(url))
        except ValueError as fault:
            raise click.UsageError(f"--database: {fault}") from None
    if directory is not None:
        return Place(directory, None)
    if path is None:
        raise click.UsageError("say where the ledger is: --directory DIR, --database URL or -c FILE")
    found = {place_of(plugin.config) for plugin in configured_plugins(path, LedgerPlugin).values()}
    if len(found) != 1:
        raise click.UsageError(
            f"{str(path)!r} configures {len(found)} ledgers; say which: --directory DIR or --database URL"
        )
    return found.pop()
