"""The command line. What a command does is imported when it is invoked."""

# ruff: noqa: PLC0415  # `llmproxy --help` imports no command's code

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llmproxy import __version__
from llmproxy.commands.group import CommandGroup, ExitCode
from llmproxy.commands.options import admin_options, config_option

__all__ = ["ExitCode", "main"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_config = config_option("The configuration: .yaml, .toml or .json.")
_method = click.option(
    "-X", "--request", "method", metavar="METHOD", help="The method: GET, or POST where there is a body."
)
_header = click.option(
    "-H", "--header", "headers", multiple=True, metavar="HEADER", help="A header field, 'Name: value'."
)
_data = click.option("-d", "--data", metavar="DATA", help="The body, or @FILE.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _addresses(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from llmproxy.addresses import parse_address

    for value in values:
        try:
            parse_address(value)
        except ValueError as fault:
            raise click.BadParameter(str(fault)) from None
    return values


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llmproxy", message="%(prog)s %(version)s")
def main() -> None:
    """Stand between applications and the APIs they call.

    Set LLMPROXY_DEBUG=1 to see the traceback of an error.
    """


@main.command()
@_config
@click.option(
    "--listen",
    multiple=True,
    callback=_addresses,
    metavar="HOST:PORT",
    help="Listen here instead of where the file says; may be repeated. unix:/path is an address too.",
)
@click.option(
    "--workers", type=click.IntRange(1, 999), default=1, show_default=True, help="Processes that serve."
)
@click.option("--pid-file", type=_FILE, metavar="FILE", help="Keep the process's number here.")
@click.option("--no-watch", is_flag=True, help="Do not reload when the file changes.")
def serve(
    path: Path | None, listen: tuple[str, ...], workers: int, pid_file: Path | None, no_watch: bool
) -> None:
    """Run the gateway.

    Without a file it takes provider keys from the environment and serves models by the name provider/model
    and the offline demo/echo, on loopback only. SIGTERM drains, SIGHUP reloads, SIGUSR2 replaces the workers
    one by one.
    """
    from llmproxy.commands.serve import Options
    from llmproxy.commands.serve import serve as run

    options = Options(path=path, listen=listen, workers=workers, pid_file=pid_file, watch=not no_watch)
    raise click.exceptions.Exit(run(options))


@main.command()
@click.argument("path", type=_FILE, metavar="FILE")
@click.option(
    "--effective", is_flag=True, help="Print the configuration with every default; secrets stay references."
)
def check(path: Path, effective: bool) -> None:
    """Say whether a configuration can be served.

    Plugins are imported, their configurations decoded, routes compiled, store URLs read, certificates loaded.
    Nothing is opened, called or bound; routes that plugins keep elsewhere are not fetched.
    """
    from llmproxy.commands.check import check as run

    click.echo(run(path, effective=effective))


@main.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, installed plugins included."""
    from llmproxy.commands.listing import schema as run

    click.echo(run())


@main.command()
@click.argument("request", metavar="REQUEST")
@_method
@_header
@_data
@_config
@_json
def explain(request: str, path: Path | None, **asked: Any) -> None:
    """Say what would happen to a request, without calling anyone.

    REQUEST is a path or URL with curl's options, or a file that holds the request as on the wire (request line, headers,
    blank line, body), or as JSON: {"method": ..., "path": ..., "headers": {...}, "body": ...}.
    """
    from llmproxy.commands.explain import explain as run

    click.echo(run(request, path, **asked))


@main.command()
@_json
def plugins(as_json: bool) -> None:
    """List the installed plugins and the hooks each implements."""
    from llmproxy.commands.listing import plugins as run

    click.echo(run(as_json=as_json))


@main.command()
@_json
def providers(as_json: bool) -> None:
    """List the providers that an upstream may name, and whether their keys are set here.

    `upstreams: {NAME: {}}` in a configuration is enough to use one; with no configuration, a key that is set is.
    """
    from llmproxy.commands.providers import providers as run

    click.echo(run(as_json=as_json))


@main.command()
@click.argument("pattern", required=False)
@click.option("--provider", metavar="NAME", help="Models of this provider only.")
@_json
def models(pattern: str | None, provider: str | None, as_json: bool) -> None:
    """List the models that are known, with their context windows and prices.

    PATTERN is a part of the name, or has a * for any text. Prices are dollars for a million tokens; a + says that
    longer prompts cost more. A provider may serve models that are not listed: their names work all the same.
    """
    from llmproxy.commands.models import models as run

    click.echo(run(pattern, provider, as_json=as_json))


@main.command()
@click.argument("name", required=False)
def hooks(name: str | None) -> None:
    """List the hooks, or print one hook's contract."""
    from llmproxy.commands.listing import hooks as run

    click.echo(run(name))


@main.command(name="new-plugin")
@click.argument("name")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
def new_plugin(name: str, directory: Path) -> None:
    """Write a package with a working plugin, its configuration and its tests."""
    from llmproxy.commands.new_plugin import new_plugin as run

    click.echo(run(name, directory))


@main.group(name="import")
def import_() -> None:
    """Read another gateway's configuration into this one's."""


@import_.command()
@click.argument("path", type=_FILE, metavar="FILE")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write here instead of to standard output.")
def litellm(path: Path, output: Path | None) -> None:
    """Read the configuration of a LiteLLM proxy.

    Models, keys, pools and fallbacks are carried. What is not is told on standard error, by its path and why. Keys
    that are written out in FILE are not copied: the configuration refers to variables, and the report names those to
    be set.
    """
    from llmproxy.commands.importing import litellm as run

    _report(*run(path, output))


@import_.command()
@click.argument("path", type=_FILE, metavar="FILE")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write here instead of to standard output.")
def portkey(path: Path, output: Path | None) -> None:
    """Read a config of Portkey's gateway.

    FILE is a JSON object with targets and a strategy; targets become pools. What is not carried is told on standard
    error, by its path and why. Keys that are written out in FILE are not copied, and those that Portkey keeps are not
    in it: the report names the variables to be set.
    """
    from llmproxy.commands.importing import portkey as run

    _report(*run(path, output))


def _report(text: str, report: list[str]) -> None:
    for line in report:
        click.echo(line, err=True)
    click.echo(text)


@main.group()
def cache() -> None:
    """Work with the caches of a running gateway."""


@cache.command("purge")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="What has this tag.")
@click.option("--prefix", "prefixes", multiple=True, metavar="PATH", help="What lies below this path or URL.")
@click.option("--url", "urls", multiple=True, metavar="URL", help="What was asked for by this path or URL.")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="The entry of this key, as Cache-Status tells it."
)
@click.option("--route", "routes", multiple=True, metavar="NAME", help="What this route has served.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="What this model has answered.")
@click.option(
    "--template", "templates", multiple=True, metavar="NAME", help="What this prompt template has made."
)
@click.option(
    "--document", "documents", multiple=True, metavar="NAME", help="What was made from this document."
)
@click.option("--tenant", metavar="NAME", help="Only what is this tenant's; alone: all that is.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--soft", is_flag=True, help="Leave it stale instead of gone.")
@click.option("--store", metavar="NAME", help="Only in this store.")
@_config
@admin_options
def purge(path: Path | None, admin: str | None, token_env: str | None, **what: Any) -> None:
    """Purge what is named; options may be repeated, and whatever one of them names goes.

    When the command returns every worker of the gateway's host obeys, answers that were on their way included.
    """
    from llmproxy.commands.cache import gateway
    from llmproxy.commands.cache import purge as run

    own = {name: what.pop(name) for name in ("tenant", "everything", "soft", "store")}
    click.echo(run(gateway(path, admin, token_env), what, **own))


@cache.command()
@click.argument("file", type=_FILE, metavar="FILE")
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at a time."
)
@click.option("--rate", type=float, default=0.0, metavar="NUMBER", help="Requests a second at most.")
@click.option(
    "--within", default="60s", show_default=True, metavar="TIME", help="The time that each may take."
)
@_config
@admin_options
def warm(file: Path, path: Path | None, admin: str | None, token_env: str | None, **pace: Any) -> None:
    """Make the requests of FILE through a running gateway, so that those who ask next are answered from its caches.

    FILE has a request a line, as JSON: {"path": ..., "body": {...}, "tenant": ...}; "method", "headers", "key" and
    "labels" (a key's name and labels) may be there, or a "url" in place of "path". With a "reply" ({"text": ...}, which
    a model says, or {"status": ..., "headers": {...}, "body": ...}; with a "ttl" such as "30d") the answer is pinned:
    nobody is asked, and it stands until its ttl is over or it is purged.
    """
    from llmproxy.commands.cache import gateway
    from llmproxy.commands.cache_warm import warm as run

    ends = run(gateway(path, admin, token_env), file, **pace)
    for line in ends.told:
        click.echo(line, err=True)
    click.echo(ends.summary)
    raise click.exceptions.Exit(ends.code)


@cache.command("explain")
@click.argument("request", metavar="REQUEST")
@_method
@_header
@_data
@click.option("--tenant", metavar="NAME", help="For whom, where the request's own credentials do not say it.")
@click.option("--key", metavar="NAME", help="The name of the tenant's key.")
@_config
@admin_options
@_json
def explain_cache(path: Path | None, admin: str | None, token_env: str | None, **asked: Any) -> None:
    """Say why a request is a hit or a miss: which terms hold and why, the key's parts, what is stored.

    REQUEST is a file as `llmproxy explain` or `llmproxy cache warm` take it, or a path or URL with curl's options.
    On a miss the first part is named that differs from the nearest key of the same tenant. No upstream is called, and
    no text of a request is shown.
    """
    from llmproxy.commands.cache import gateway
    from llmproxy.commands.cache_explain import explain as run

    click.echo(run(gateway(path, admin, token_env), **asked))


@cache.command()
@_config
@admin_options
@_json
def stats(path: Path | None, admin: str | None, token_env: str | None, as_json: bool) -> None:
    """Say what the caches have done since the gateway's start, and how full their stores are.

    All workers of the gateway's host are summed. Of a store that other machines share nothing is known but its faults
    and purges.
    """
    from llmproxy.commands.cache import gateway
    from llmproxy.commands.cache_stats import stats as run

    click.echo(run(gateway(path, admin, token_env), as_json=as_json))


@main.command()
@_config
@admin_options
@click.option(
    "--pid-file",
    type=_FILE,
    metavar="FILE",
    help="Send SIGHUP to this process if nothing else is given or answers.",
)
def reload(**options: Any) -> None:
    """Have a running gateway read its configuration again, and say what became of it.

    The admin listener is asked, which tells the reason if the new configuration is refused; a signal cannot.
    """
    from llmproxy.commands.reload import reload as run

    click.echo(run(**options))
