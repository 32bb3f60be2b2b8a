import orjson
import pytest
from click.testing import CliRunner

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresUrl
from llmproxy_calllog import command
from llmproxy_calllog.command import logs
from llmproxy_calllog.database import Database
from llmproxy_calllog.postgreslog import SCHEMA, PostgresLog

from .records import NOW, make_record


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "calls.db"
    database = Database(path, search=True, wall=lambda: NOW)
    database.write(
        [
            make_record("rain", None, id=f"req-{n}", tenant="acme" if n % 2 else "shop", status=200 + n)
            for n in range(6)
        ]
    )
    yield path
    database.close()


def run(*arguments, **more):
    return CliRunner().invoke(logs, [str(each) for each in arguments], **more)


def ids(output):
    return [orjson.loads(line)["id"] for line in output.splitlines()]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("path: {path}", ""),
        ("to: stdout", "configures 0 databases of calls"),
    ],
)
def test_the_configuration_says_where_records_are(path, tmp_path, settings, problem):
    file = tmp_path / "gateway.yaml"
    file.write_text(f"plugins: {{calllog: {{{settings.format(path=path)}}}}}")
    shown = run("-c", file, "-n", 1)

    assert problem in shown.output if problem else shown.output.split()[-1] == "req-5"
    assert (shown.exit_code == 0) == (not problem)
    assert "say where the records are: -c FILE" in run().output


def test_the_newest_come_last(path):
    shown = run(path, "-n", 2)

    assert [line.split()[-1] for line in shown.output.splitlines()] == ["req-4", "req-5"]


def test_filters_hold(path):
    assert ids(run(path, "--tenant", "acme", "--json").output) == ["req-1", "req-3", "req-5"]
    assert ids(run(path, "--status", "203", "--json").output) == ["req-3"]
    assert ids(run(path, "--text", "rain", "--since", "2027-01-01", "--json").output)[0] == "req-0"


def test_bodies_come_as_json(path):
    assert orjson.loads(run(path, "-n", 1, "--bodies").output)["request"] == "rain"


def test_a_postgres_is_named_by_its_url(postgres_url):
    log = PostgresLog(
        BlockingPostgres(Postgres(PostgresUrl(postgres_url), SCHEMA)), search=True, wall=lambda: NOW
    )
    log.write(
        [make_record("rain", None, id=f"req-{n}", tenant="acme" if n % 2 else "shop") for n in range(6)]
    )
    log.close()

    assert ids(run(postgres_url, "--tenant", "acme", "--text", "rain", "--json").output) == [
        "req-1",
        "req-3",
        "req-5",
    ]
    assert ids(run("--json", "-n", 1, env={"LLMPROXY_CALLLOG": postgres_url}).output) == ["req-5"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://me:secret@db/x", "starts with 'postgres://'"),
        ("postgres://me:secret@127.0.0.1:9/x", "is away"),
    ],
)
def test_a_postgres_that_is_none_is_told_without_its_password(url, why):
    shown = run(url)

    assert shown.exit_code != 0
    assert why in shown.output
    assert "secret" not in shown.output


def test_calls_are_a_warm_file(path):
    database = Database(path, search=True, wall=lambda: NOW)
    database.write([make_record("{}", None, path="/v1/x", bodies="full", result="ok")])
    database.close()

    assert [orjson.loads(line) for line in run(path, "--warm").output.splitlines()] == [
        {"path": "/v1/x", "tenant": "acme", "body": "{}", "headers": {"Content-Type": "application/json"}}
    ]


def test_the_database_may_be_named_by_the_environment(path):
    assert run("-n", 1, "--json", env={"LLMPROXY_CALLLOG": str(path)}).exit_code == 0


def test_more_than_a_page_is_shown(path, monkeypatch):
    monkeypatch.setattr(command, "_PAGE", 2)

    assert ids(run(path, "--json").output) == [f"req-{n}" for n in range(6)]
    assert ids(run(path, "--json", "-n", 3).output) == ["req-3", "req-4", "req-5"]


def test_following_shows_what_comes_and_nothing_twice(path, monkeypatch):
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        database = Database(path, search=True, wall=lambda: NOW)
        database.write(
            [make_record(id=f"new-{len(waits)}", tenant="acme"), make_record(id="other", tenant="shop")]
        )
        database.close()

    monkeypatch.setattr(command.time, "sleep", sleep)
    shown = run(path, "--follow", "--json", "--tenant", "acme", "-n", 1)

    assert ids(shown.output) == ["req-5", "new-1", "new-2"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--status", "6xx"], "--status: a number"), (["--slower-than", "x"], "--slower-than: ")],
)
def test_a_wrong_filter_is_told(path, arguments, told):
    shown = run(path, *arguments)

    assert (shown.exit_code, told in shown.output) == (2, True)


def test_a_missing_file_is_told(tmp_path):
    shown = run(tmp_path / "none.db")

    assert (shown.exit_code, "No such file" in shown.output) == (1, True)
