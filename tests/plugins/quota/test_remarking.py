from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from llmproxy.cli import main

CONFIG = """
upstreams: {{main: {{base_url: "https://h", dialect: openai}}}}
models: {{best: main/big, small: main/little, "wild-*": main/*}}
prices: {{main/big: {{input: 5, output: 10}}{price}}}
stores: {{counters: "lmdb:///nowhere"}}
plugins:
  access: {{keys: [{{name: web, tenant: shop, {key}sha256: "{digest}"}}]}}
  quota: {{store: counters, {settings}limits: [{{name: budget, window: month, at_most: 5, {limit}}}]}}
pipeline: [access, quota]
routes: [{{name: models{own}}}]
"""


def notes(
    tmp_path: Path, limit: str, *, price: str = "", key: str = "", settings: str = "", own: str = ""
) -> list[str]:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        CONFIG.format(limit=limit, price=price, key=key, settings=settings, own=own, digest="0" * 64)
    )
    run = CliRunner().invoke(main, ["check", str(path)])
    assert run.exit_code == 0, run.output
    return [line.removeprefix("note: plugins.quota: ") for line in run.stdout.splitlines()[1:]]


PRICED = ", main/little: {input: 1, output: 1}"


@pytest.mark.parametrize(
    ("limit", "key", "noted"),
    [
        (
            "counts: tokens, scope: team",
            "",
            "limit 'budget' holds for nobody: no caller has one; write `team` with",
        ),
        ("counts: tokens, scope: team", "team: search, ", ""),
        (
            "counts: tokens, scope: org",
            "team: search, ",
            "limit 'budget' holds for nobody: no caller has one; write `org`",
        ),
        ("counts: tokens, scope: key", "", ""),
    ],
)
def test_a_limit_of_what_no_caller_has_is_noted(tmp_path: Path, limit: str, key: str, noted: str) -> None:
    found = notes(tmp_path, limit, key=key)

    assert len(found) == bool(noted)
    assert all(noted in each for each in found)


@pytest.mark.parametrize(
    ("model", "own", "price", "noted"),
    [
        ("smal", "", PRICED, "no route serves the model 'smal'"),
        ("smal", ", upstream: main", PRICED, "what the model 'smal' costs is not known"),
        ("small", "", "", "what the model 'small' costs is not known"),
        ("small", "", PRICED, ""),
    ],
)
def test_a_cheaper_model_that_will_never_answer_is_noted(
    tmp_path: Path, model: str, own: str, price: str, noted: str
) -> None:
    found = notes(tmp_path, f"counts: tokens, near: 0.5, then: {{model: {model}}}", own=own, price=price)

    assert len(found) == bool(noted)
    assert all(noted in each for each in found)


def test_models_that_are_refused_for_want_of_a_price_are_noted(tmp_path: Path) -> None:
    [found] = notes(tmp_path, "counts: money")

    assert found.startswith("limit 'budget' refuses (403, price_unknown) calls of 'small': ")
    assert notes(tmp_path, "counts: money", price=PRICED) == []
    assert notes(tmp_path, "counts: money, mode: soft") == []
    assert notes(tmp_path, "counts: money", settings="unpriced: zero, ") == []


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("{stores: {a: 'memory://'}, plugins: {quota: {store: b, limits: []}}, routes: []}")

    run = CliRunner().invoke(main, ["check", str(path)])

    assert "plugins.quota.store" in run.stderr
