from __future__ import annotations

import pytest

from llmproxy.plugin import PostgresUrl
from llmproxy.references import Resolved


def url(text: str) -> PostgresUrl:
    return PostgresUrl.from_plain(Resolved(text, "${env:DATABASE}"))


def test_it_is_told_by_its_host_and_database_alone() -> None:
    found = url("postgres://app:canary@db.internal:5432/gateway?sslmode=verify-full&password=canary")

    assert found.place == "db.internal:5432/gateway"
    assert "canary" not in f"{found!r} {found} {found.place}"


def test_the_schema_is_ours_and_all_else_the_drivers() -> None:
    found = url("postgres://app:s%40crt@db/gateway?sslmode=require&schema=team_1&application_name=x")

    assert found.schema == "team_1"
    assert found.address == "postgres://app:s%40crt@db/gateway?sslmode=require&application_name=x"


def test_a_sockets_folder_is_a_host() -> None:
    found = PostgresUrl.from_plain("postgres:///gateway?host=/run/postgresql")

    assert found.place == "/run/postgresql/gateway"
    assert found.address == "postgres:///gateway?host=%2Frun%2Fpostgresql"


def test_a_url_without_a_password_may_be_written_out() -> None:
    assert PostgresUrl.from_plain("postgresql://app@db/gateway").place == "db/gateway"


def test_several_hosts_may_stand_beside_one_another() -> None:
    assert (
        PostgresUrl.from_plain("postgres://app@one:5432,two:5433/gateway").place
        == "one:5432,two:5433/gateway"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgres://app:canary@db/gateway", "not written out"),
        ("postgres://app@db/gateway?password=canary", "not written out"),
        ("mysql://app@db/canary", "starts with"),
        ("postgres://app:canary@x@db/gateway", "escaped"),
        ("postgres://app@db/gateway#canary", "escaped"),
        ("postgres://app:12/canary@db/gateway", "escaped"),
        ("postgres://app:12?a=canary@db/gateway", "escaped"),
        ("postgres://app:12#canary@db/gateway", "escaped"),
        ("postgres://app@db:canary/gateway", "port"),
        ("postgres://app@db/gateway?sslmode=always", "verify-full"),
        ("postgres://app@db/gateway?schema=A-b", "lower-case"),
        ("postgres://app@db/gateway?canary", "malformed"),
        ("postgres://[canary/gateway", "malformed"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_repeating_it(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as fault:
        PostgresUrl.from_plain(text)

    assert "canary" not in str(fault.value)


def test_a_command_is_told_one_with_its_password() -> None:
    assert PostgresUrl.from_command("postgres://app:canary@db/gateway").place == "db/gateway"
    with pytest.raises(ValueError, match="starts with") as caught:
        PostgresUrl.from_command("mysql://app:canary@db/gateway")

    assert "canary" not in str(caught.value)
