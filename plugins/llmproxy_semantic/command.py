"""`llmproxy semantic`: what questions in other words are worth, and what they risk."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from llmproxy.plugin import admin_options, ask_gateway, config_option
from llmproxy_semantic.evaluating import evaluate
from llmproxy_semantic.pairs import BadPairs, Pair, Tally, read_pairs, tallied
from llmproxy_semantic.reporting import lines

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Embedder


@click.group("semantic")
def semantic() -> None:
    """Questions that mean the same: what is served of them, and what wrongly."""


@semantic.command("evaluate")
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--policy",
    type=click.Choice(["canonical", "strict"]),
    default="canonical",
    show_default=True,
    help="How far it goes.",
)
@click.option("--limit", type=click.IntRange(1), help="Only so many pairs, the first.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def evaluate_pairs(pairs: Path, policy: str, limit: int | None, *, as_json: bool) -> None:
    """Ask labelled pairs of prompts through a gateway of its own, and tell what was served, rightly and wrongly.

    PAIRS holds lines of JSON: prompt_a, prompt_b, label (1: the answer to the first would do for the second), and, if
    you like, source and kind. Each prompt_a is asked first, then its prompt_b. Bounds are those of Clopper and Pearson
    for 95 %. No provider is called.
    """
    read = _pairs(pairs)[:limit]
    begun = time.monotonic()
    served = asyncio.run(evaluate(read, {"within": "30s"}, {"policy": policy}))
    wrong, right = tallied(served, 0), tallied(served, 1)
    if as_json:
        told = {"pairs": len(read), "policy": policy, "wrong": _plain(wrong), "served": _plain(right)}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    click.echo(f"{len(read)} pairs, policy {policy}, {time.monotonic() - begun:.1f} s")
    _show("wrong: served though the answers differ", wrong)
    _show("served: of those whose answers are the same", right)


@semantic.command("calibrate")
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="What of the pairs whose answers differ may be served.",
)
@click.option("--limit", type=click.IntRange(1), help="Only so many pairs, the first.")
@click.option(
    "--upstream",
    metavar="NAME",
    help="Measure a model of this upstream's, called as in the gateway's configuration.",
)
@click.option("--base-url", metavar="URL", help="Where that is, as its `base_url` says.")
@click.option("--model", metavar="NAME", help="What it calls the model.")
@click.option("--api-key-env", metavar="NAME", help="The environment variable that holds its key.")
def calibrate(pairs: Path, wrong: float, limit: int | None, **other: str | None) -> None:
    """Find how much alike two questions must be, out of labelled pairs; print it as configuration.

    PAIRS is as for `evaluate`. The embedder is the one that comes with the extra `semantic`, or a model that serves
    `/embeddings` as OpenAI does: it is sent the questions of the pairs that come to be compared. Thresholds hold for
    pairs like those: take pairs that nobody has tuned anything on.
    """
    from llmproxy_semantic.calibrating import calibrated, met, written  # noqa: PLC0415  # features: 50 ms
    from llmproxy_semantic.embedder import Unavailable  # noqa: PLC0415
    from llmproxy_semantic.minilm import MiniLM  # noqa: PLC0415

    read = _pairs(pairs)[:limit]
    try:
        embedder = _elsewhere(read, other) if any(other.values()) else MiniLM()
    except Unavailable as fault:
        raise click.ClickException(str(fault)) from None
    found = calibrated(embedder.id, read, met(read, embedder), limit=wrong)
    click.echo("\n".join(written(found)))


def _elsewhere(pairs: list[Pair], other: dict[str, str | None]) -> Embedder:
    """Return what an upstream's model makes of the pairs that come to be compared."""
    from llmproxy_semantic.calibrating import comparable  # noqa: PLC0415
    from llmproxy_semantic.embedding import EmbeddingFault  # noqa: PLC0415
    from llmproxy_semantic.vectoring import vectors_of  # noqa: PLC0415

    upstream, url, model = other["upstream"], other["base_url"], other["model"]
    if upstream is None or url is None or model is None:
        raise click.UsageError("--upstream, --base-url and --model go together.")
    settings = {"base_url": url}
    if other["api_key_env"] is not None:
        settings["api_key"] = f"${{env:{other['api_key_env']}}}"
    texts = [text for each in comparable(pairs) for text in (each.form, each.other)]
    try:
        return asyncio.run(vectors_of(texts, upstream, model, settings))
    except EmbeddingFault as fault:
        raise click.ClickException(f"{upstream}: {fault}") from None


@semantic.command("report")
@config_option("The gateway's configuration.")
@admin_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def report(path: Path | None, admin: str | None, token_env: str | None, *, as_json: bool) -> None:
    """Tell what a running gateway knows of its answers by likeness: samples, bound, promise, whether it holds."""
    told = ask_gateway(path, admin, token_env, "/semantic")
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2) if as_json else "\n".join(lines(told)))


def _pairs(file: Path) -> list[Pair]:
    try:
        with file.open("rb") as rows:
            return list(read_pairs(rows))
    except BadPairs as fault:
        raise click.ClickException(f"{file}: {fault}") from None


def _plain(tallies: list[Tally]) -> list[dict[str, object]]:
    return [
        {
            **each._asdict(),
            "share": round(each.share, 6),
            "bounds": [round(bound, 6) for bound in each.bounds],
        }
        for each in tallies
    ]


def _show(title: str, tallies: list[Tally]) -> None:
    click.echo(f"\n{title}")
    for each in tallies:
        low, high = each.bounds
        tiers = ", ".join(f"{tier} {count}" for tier, count in sorted(each.tiers.items()))
        shares = f"{each.share:8.2%}  ({low:.2%} to {high:.2%})"
        click.echo(f"  {each.group:24} {each.served:5} of {each.pairs:5} {shares}  {tiers}".rstrip())
