from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from tests.postgresserver import PASSWORD, PostgresServer

from llmproxy.cli import main
from llmproxy.testing import FakeUpstream

from .conftest import SharedBooks
from .stage import answer, asked, ledger
from .test_books import PRICES, settled

CONFIG = """
upstreams: {{main: {{base_url: "http://127.0.0.1:9/v1", dialect: openai}}}}
plugins: {{ledger: {{directory: "{}"}}}}
pipeline: [ledger]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: main}}]
"""


def say(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["usage", *map(str, words)])


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "ledger"
    async with FakeUpstream().reply(json=answer(5)) as upstream, ledger(directory, upstream) as serving:
        await serving.serve(asked())
        await serving.serve(asked())
    return directory


async def test_a_report_sums_by_model(directory: Path) -> None:
    said = say("report", "--directory", directory)

    assert said.exit_code == 0
    assert said.output.splitlines()[1].split() == [
        "gpt",
        "2",
        "0",
        "0",
        "14",
        "0",
        "0",
        "10",
        "0",
        "$0.000114",
    ]


async def test_a_report_is_told_as_json_by_what_is_named(directory: Path) -> None:
    said = say("report", "--directory", directory, "--by", "tenant", "--by", "state", "--format", "json")

    assert orjson.loads(said.stdout)["cost"] == 114


async def test_rows_are_exported(directory: Path) -> None:
    said = say("export", "--directory", directory, "--since", "2020-01-01", "--tenant", "default")

    assert len(said.stdout.splitlines()) == 3
    assert say("export", "--directory", directory, "--until", "2020-01-01").stdout == ""


async def test_an_audit_of_a_good_ledger_finds_nothing(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG.format(directory))
    said = say("audit", "-c", tmp_path / "gateway.yaml")

    assert said.exit_code == 0
    assert said.stdout.startswith("2 rows, 0 faults; settled $0.000114")


async def test_an_audit_of_a_changed_ledger_fails_and_says_why(directory: Path) -> None:
    import apsw

    apsw.Connection(str(directory / "ledger.db")).execute("UPDATE attempts SET cost = cost + 1")
    said = say("audit", "--directory", directory)

    assert said.exit_code == 1
    assert said.stdout.count("it cost 58, and its usage by its prices is 57") == 2


async def test_open_journals_are_told(directory: Path) -> None:
    (directory / "someone.lock").touch()

    assert "1 journal is open" in say("report", "--directory", directory).stderr


def test_a_shared_ledger_is_told(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedBooks(postgres_url)
    shared.post([("j", PRICES), ("j", settled("a"))])
    shared.close()
    audited = say("audit", "--database", postgres_url)
    config = CONFIG.replace('"{}"', '"{}", database: {{url: "${{env:DATABASE}}"}}').format(tmp_path)
    (tmp_path / "gateway.yaml").write_text(config)
    monkeypatch.setenv("DATABASE", postgres_url)
    exported = say("export", "-c", tmp_path / "gateway.yaml", "--format", "json")
    monkeypatch.setenv("LLMPROXY_LEDGER_DATABASE", postgres_url)
    reported = say("report", "--by", "instance")

    assert audited.stdout.startswith("1 rows, 0 faults; settled $0.000057")
    assert orjson.loads(exported.stdout)["entry"] == "a"
    assert reported.stdout.splitlines()[1].split()[:2] == ["one", "1"]


def test_a_shared_ledger_that_goes_away_is_told(own_postgres: PostgresServer) -> None:
    shared = SharedBooks(own_postgres.url())
    shared.post([("j", settled("a"))])
    shared.close()
    own_postgres.stop()
    said = say("report", "--database", own_postgres.url())

    assert said.exit_code == 1
    assert "is away" in said.stderr
    assert PASSWORD not in said.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["report"], "say where the ledger is"),
        (["report", "--database", "mysql://me:secret@db"], "starts with 'postgres://'"),
        (["report", "--directory", "nowhere"], "there is no ledger in 'nowhere'"),
        (["report", "--directory", "nowhere", "--since", "soon"], "'soon' is no day"),
    ],
)
def test_a_mistake_is_told(words: list[str], why: str) -> None:
    said = say(*words)

    assert said.exit_code != 0
    assert why in said.stderr


def test_a_configuration_without_a_ledger_is_told(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        CONFIG.format("d").replace('plugins: {ledger: {directory: "d"}}\npipeline: [ledger]\n', "")
    )

    assert "configures 0 ledgers" in say("report", "-c", file).stderr
