from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from llmproxy_access.keycommand import keys

PEPPER = "canary-pepper-0123456789abcdef-0123456789"
CONFIG = """
upstreams: {{a: {{base_url: "http://127.0.0.1:1", dialect: http}}}}
plugins:
  access:
    keys: [{{name: own, tenant: shop, key: "${{env:OWN}}"}}]
    {database}
routes: [{{name: r, upstream: a, plugins: [access]}}]
"""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    database = f'database: {{path: "{tmp_path}/access.db", pepper: "${{env:PEPPER}}"}}'
    file.write_text(CONFIG.format(database=database))
    return file


@pytest.fixture
def run(config: Path) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        environ = {"PEPPER": PEPPER, "OWN": "canary-0123456789"}
        result = CliRunner().invoke(keys, [*arguments, "-c", str(config)], env=environ)
        return result.exit_code, result.output

    return run


def told(run: Run, *arguments: str) -> Any:
    code, output = run(*arguments, "--json")
    assert code == 0, output
    return orjson.loads(output)


def test_a_key_is_printed_once_and_never_again(run: Run) -> None:
    code, output = run("create", "web", "--tenant", "shop")
    key = re.search(r"^key: (llmp-\S+)$", output, re.MULTILINE)

    assert code == 0
    assert key is not None
    for command in (
        ("list",),
        ("show", "web"),
        ("list", "--json"),
        ("show", "web", "--json"),
        ("revoke", "web"),
    ):
        assert key[1].rpartition("-")[2] not in run(*command)[1]


def test_keys_are_listed_with_their_states(run: Run) -> None:
    made = {name: told(run, "create", name, "--tenant", "shop") for name in ("web", "batch")}
    brief = told(run, "create", "brief", "--tenant", "shop", "--expires", "90d")
    run("revoke", "batch")

    until = datetime.fromtimestamp(brief["expires"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    assert [re.split(" {2,}", line) for line in run("list")[1].splitlines()] == [
        ["name", "state", "tenant", "org", "team", "user", "until", "ids"],
        ["batch", "revoked", "shop", "-", "-", "-", "-", "-"],
        ["brief", "live", "shop", "-", "-", "-", until, brief["id"]],
        ["web", "live", "shop", "-", "-", "-", "-", made["web"]["id"]],
    ]


def test_a_key_is_shown_with_what_it_may_use(run: Run) -> None:
    run("put", "org", "acme", "--tenant", "shop")
    run("put", "team", "search", "--org", "acme", "--model", "gpt-*")
    run("create", "web", "--team", "search", "--route", "chat", "--expires", "90d")
    shown = run("show", "web")[1]

    assert "tenant: shop\norg: acme\nteam: search\nroutes: chat\nstate: live\n" in shown
    assert re.search(r"^secret: \w{12} live, since .* UTC, until .* UTC$", shown, re.MULTILINE)
    assert [line.split() for line in run("accounts")[1].splitlines()] == [
        ["kind", "name", "tenant", "org", "models", "routes"],
        ["org", "acme", "shop", "-", "all", "all"],
        ["team", "search", "shop", "acme", "gpt-*", "all"],
    ]


def test_a_rotated_key_has_another_secret(run: Run) -> None:
    first, second = (
        told(run, "create", "web", "--tenant", "shop"),
        told(run, "rotate", "web", "--overlap", "1h"),
    )
    secrets = told(run, "show", "web")["secrets"]

    assert first["key"] != second["key"]
    assert [(each["id"], each["state"]) for each in secrets] == [
        (first["id"], "live"),
        (second["id"], "live"),
    ]
    assert told(run, "revoke", first["id"]) == {"name": "web", "revoked": first["id"]}


def test_accounts_are_dropped(run: Run) -> None:
    run("put", "user", "ann", "--tenant", "shop")

    assert run("drop", "user", "ann") == (0, "dropped: user ann\n")
    assert told(run, "accounts") == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("create", "own", "--tenant", "shop"), "the configuration has a key 'own' already"),
        (("create", "web"), "Name an organisation, or a tenant"),
        (("create", "web", "--team", "nobody"), "no team 'nobody'; make it first"),
        (("create", "web", "--tenant", "shop", "--expires", "90"), "90 of what? Write 90d"),
        (("create", "web", "--tenant", "shop", "--expires", "soon"), "is not a duration"),
        (("revoke", "nobody"), "'nobody'"),
        (("list", "--plugin", "other"), "no plugin 'access' of this name"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    code, output = run(*arguments)

    assert code != 0
    assert problem in output
    assert PEPPER not in output


def test_a_configuration_without_a_database_is_told(config: Path, run: Run) -> None:
    config.write_text(CONFIG.format(database=""))

    code, output = run("list")
    assert code == 1
    assert "write 'database'" in output


def test_the_database_may_be_named_by_its_url(postgres_url: str) -> None:
    def run(*arguments: str, pepper: str = PEPPER) -> tuple[int, str]:
        environ = {"LLMPROXY_ACCESS_PEPPER": pepper}
        result = CliRunner().invoke(keys, [*arguments, "--database", postgres_url], env=environ)
        return result.exit_code, result.output

    made = run("create", "web", "--tenant", "shop")
    listed = run("list")
    other = run("list", pepper="another-" * 5)

    assert made[0] == 0
    assert listed[1].splitlines()[1].split()[:3] == ["web", "live", "shop"]
    assert (other[0], "database.pepper" in other[1]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "environ", "problem"),
    [
        ((), {}, "either --config or --database"),
        (("--database", "mysql://canary"), {"LLMPROXY_ACCESS_PEPPER": PEPPER}, "--database: "),
        (("--database", "postgres://a:canary@127.0.0.1:1/b"), {}, "LLMPROXY_ACCESS_PEPPER: missing"),
        (
            ("--database", "postgres://a:canary@127.0.0.1:1/b"),
            {"LLMPROXY_ACCESS_PEPPER": PEPPER},
            "127.0.0.1:1/b is away",
        ),
    ],
)
def test_a_url_that_leads_nowhere_is_told(
    arguments: tuple[str, ...], environ: dict[str, str], problem: str
) -> None:
    result = CliRunner().invoke(keys, ["list", *arguments], env=environ)

    assert result.exit_code != 0
    assert problem in result.output
    assert "canary" not in result.output
