"""`llmproxy atlas`."""

import click


@click.command()
@click.argument("who")
@click.option("--loud", is_flag=True)
def atlas(who: str, loud: bool) -> None:
    """Greet somebody."""
    text = f"hello, {who}"
    click.echo(text.upper() if loud else text)
