"""`llmproxy access`: what an operator does with keys."""

from __future__ import annotations

import secrets
import sys

import click

from llmproxy_access.config import MIN_LENGTH
from llmproxy_access.keys import digest_of


@click.group()
def access() -> None:
    """Work with API keys."""


@access.command("hash-key")
@click.option(
    "--stdin", "given", is_flag=True, help="Read the key from standard input instead of making one."
)
def hash_key(given: bool) -> None:
    """Print the SHA-256 of a key for the configuration, and the key itself if it is new."""
    key = sys.stdin.readline().strip() if given else "llmp-" + secrets.token_urlsafe(32)
    if len(key) < MIN_LENGTH:
        raise click.ClickException(
            f"a key needs at least {MIN_LENGTH} characters, so that it cannot be guessed"
        )
    if not given:
        click.echo(f"key: {key}")
    click.echo(f"sha256: {digest_of(key.encode()).hex()}")
