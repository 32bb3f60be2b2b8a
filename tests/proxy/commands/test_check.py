"""`llmproxy check`."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
import yaml
from click.testing import CliRunner, Result

from llmproxy.cli import main

GOOD = """
upstreams: {api: {dialect: http, base_url: "http://api.test", headers: {x-key: "${env:KEY}"}}}
stores: {main: "memory://"}
plugins: {access: {mode: open}}
routes: [{name: api, upstream: api, plugins: [access]}]
"""


def check(tmp_path: Path, text: str, *options: str) -> Result:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return CliRunner().invoke(main, ["check", str(path), *options], env={"KEY": "s3cret-value"})


def test_a_good_configuration_is_counted(tmp_path: Path) -> None:
    run = check(tmp_path, GOOD)

    assert run.stdout == "ok: 1 route, 1 plugin, 1 upstream, 0 models, 1 store, 1 listener\n", run.stderr
    assert run.exit_code == 0


def test_a_pool_that_nobody_can_reach_is_noted(tmp_path: Path) -> None:
    run = check(
        tmp_path,
        """
        upstreams: {main: {base_url: "https://h"}}
        pools: {fast: [main/a], within: [main/b], outer: [{pool: within}], cheap: [main/c], fats: [main/d]}
        models: {fast: {pool: fast}, own: [main/e]}
        routes:
          - {name: models, plugins: [{balance: {policies: {low: cheap}}}]}
          - {name: one, match: {path: /one/*}, pool: outer}
        """,
    )

    told, note = run.stdout.splitlines()
    assert told.startswith("ok: 2 routes, ")
    assert "6 pools, 2 models" in told
    assert note.startswith(
        "note: nothing leads to pool 'fats'; callers reach it by `models: {NAME: {pool: fats}}`"
    )


def test_a_plugin_that_stands_nowhere_is_noted(tmp_path: Path) -> None:
    run = check(
        tmp_path,
        """
        upstreams: {main: {base_url: "https://h"}}
        plugins: {access: {mode: open}, metrics: {}, openai: {}}
        pipeline: [metrics]
        routes: [{name: models}]
        """,
    )

    _, note = run.stdout.splitlines()
    assert note == "note: plugins.access: it stands in no pipeline and on no route, so it does nothing"


def test_an_alias_that_an_upstream_would_see_itself_is_noted(tmp_path: Path) -> None:
    run = check(
        tmp_path,
        """
        upstreams: {main: {base_url: "https://h"}, spare: {base_url: "https://i"}}
        models: {"gpt-*": [main, spare], gpt-4o: [main, spare], nice: gpt-5, best: gpt-4o}
        routes: [{name: models}]
        """,
    )

    [note] = run.stdout.splitlines()[1:]
    assert note.startswith(
        "note: models.nice: leads to pool 'gpt-*', of which 'main' is asked for the name 'nice' itself"
    )


def test_the_effective_configuration_shows_defaults_and_references(tmp_path: Path) -> None:
    run = check(tmp_path, GOOD, "--effective")
    tree = yaml.safe_load(run.stdout)

    assert tree["listen"][0]["address"] == "127.0.0.1:8080"
    assert tree["upstreams"]["api"]["headers"]["x-key"] == "${env:KEY}"
    assert "s3cret-value" not in run.stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "stores: {main: 'memry://'}",
            "stores.main.url: no store has the scheme memry://; did you mean memory://?",
        ),
        ("stores: {main: 'memory://?max=1'}", "stores.main.url: unknown option"),
        (
            "stores: {main: {url: 'lmdb:/tmp/c', near: 'memory://?policy=mru'}}",
            'stores.main.near: option "policy" of store memory://: "mru" is none of tinylfu',
        ),
        (
            "stores: {main: {url: 'lmdb:/tmp/c', encryption_key: ['${env:KEY}']}}",
            "stores.main.encryption_key[0]: not 32 bytes in hexadecimal or base64",
        ),
        (
            "plugins: {acess: {}}",
            "plugins.acess.use: no plugin named 'acess' is installed; did you mean 'access'?",
        ),
        ("plugins: {metrics: {bukets: 3}}", 'plugins.metrics.bukets: unknown key "bukets"'),
        (
            "upstreams: {a: {base_url: 'http://a.test', dialect: opnai}}",
            "upstreams.a.dialect: 'opnai' is not known",
        ),
        ("routes: [{name: a, upstream: b}]", 'routes[0].upstream: unknown upstream "b"'),
        ("admin: {token: '${env:KEY}'}", "admin.token: '${env:KEY}' should have 16 characters"),
        ("routes: [", "gateway.yaml:2: "),
        (
            "listen: [{address: '127.0.0.1:1', tls: {certificate: no.pem, key: no.pem}}]",
            "listen[0].tls: certificate",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, text: str, line: str) -> None:
    run = check(tmp_path, text)

    assert line in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert run.exit_code == 78


def test_mistakes_are_told_together(tmp_path: Path) -> None:
    run = check(tmp_path, "stores: {a: 'x://', b: 'y://'}")

    assert [line.partition(" no")[0] for line in run.stderr.splitlines()] == [
        "llmproxy: stores.a.url:",
        "llmproxy: stores.b.url:",
    ]


def test_certificates_are_loaded(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    tls = f"{{certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem}}"
    run = check(tmp_path, f"listen: [{{address: '127.0.0.1:1', tls: {tls}}}]")

    assert run.stdout.startswith("ok: 0 routes"), run.stderr
