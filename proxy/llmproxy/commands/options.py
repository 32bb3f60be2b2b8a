"""Options that several commands have, those of plugins too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

C = TypeVar("C", bound=Callable[..., Any])


def config_option(text: str) -> Callable[[C], C]:
    """Return the option `-c FILE`, which is the argument `path`; `text` is its help."""
    import click  # noqa: PLC0415  # whoever imports llmproxy.plugin would pay for it

    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option("-c", "--config", "path", type=kind, metavar="FILE", help=text)


def admin_options(command: C) -> C:
    """Give a command what finds a gateway's admin listener: the arguments `admin` and `token_env`."""
    import click  # noqa: PLC0415  # likewise

    variable = "The environment variable that holds the admin token."
    admin = "Where the admin listener is, instead of where the file says."
    command = click.option("--token-env", metavar="NAME", help=variable)(command)
    return click.option("--admin", metavar="URL", help=admin)(command)
