from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmproxy.plugin import StartError
from llmproxy_access.database import Database, open_file
from llmproxy_access.issuing import Pepper
from llmproxy_access.records import AccountOrder, KeyOrder, OrderRefused

from .conftest import Wall

WEB = KeyOrder(name="web", tenant="shop")


def test_a_key_is_kept_by_its_digest_alone(file_database: Database, pepper: Pepper, tmp_path: Path) -> None:
    issued = file_database.create(WEB)
    file_database.close()

    secret = issued.key.rpartition("-")[2].encode()
    files = sorted((tmp_path / "state").iterdir())
    assert files
    assert all(secret not in file.read_bytes() for file in files)
    assert any(pepper.digest(issued.key.encode()) in file.read_bytes() for file in files)


def test_nobody_else_may_read_the_file(file_database: Database, tmp_path: Path) -> None:
    file_database.create(WEB)

    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "state").iterdir()} == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_what_was_told_of_a_key_is_read(database: Database, wall: Wall) -> None:
    issued = database.create(
        KeyOrder(name="web", tenant="shop", models=("gpt-*",), routes=("chat",), lifetime=60)
    )
    key = database.key("web")

    assert (key.name, key.tenant, key.models, key.routes) == ("web", "shop", ("gpt-*",), ("chat",))
    assert [(secret.id, secret.expires) for secret in key.secrets] == [(issued.id, wall.now + 60)]


def test_every_change_counts_the_version_up_and_a_refused_one_does_not(database: Database) -> None:
    before = database.version()
    database.create(WEB)
    after = database.version()
    with pytest.raises(OrderRefused, match="already"):
        database.create(WEB)

    assert (after, database.version()) == (before + 1, before + 1)


def test_another_connection_sees_a_change(open_database: Callable[[], Database]) -> None:
    one, other = open_database(), open_database()
    one.create(WEB)

    assert [key.name for key in other.read().keys] == ["web"]
    assert other.version() == one.version()


def test_a_rotated_key_has_two_secrets_for_a_while(database: Database, wall: Wall) -> None:
    old = database.create(WEB)
    wall.now += 100
    new = database.rotate("web", 3600)
    secrets = {secret.id: secret for secret in database.key("web").secrets}

    assert secrets[old.id].expires == wall.now + 3600
    assert secrets[new.id].expires is None
    assert {secret.state(wall.now) for secret in secrets.values()} == {"live"}


def test_a_rotation_prolongs_no_secret_and_lives_as_long_as_the_last(database: Database, wall: Wall) -> None:
    old = database.create(KeyOrder(name="web", tenant="shop", lifetime=60))
    wall.now += 50
    new = database.rotate("web", 3600)
    secrets = {secret.id: secret for secret in database.key("web").secrets}

    assert secrets[old.id].expires == wall.now + 10
    assert secrets[new.id].expires == wall.now + 60


def test_a_revoked_key_has_no_secret_left_and_is_not_rotated(database: Database, wall: Wall) -> None:
    database.create(WEB)
    database.rotate("web", 3600)

    assert database.revoke("web") == "web"
    assert {secret.state(wall.now) for secret in database.key("web").secrets} == {"revoked"}
    with pytest.raises(OrderRefused, match="revoked"):
        database.rotate("web", 3600)


def test_one_secret_is_revoked_by_its_id(database: Database, wall: Wall) -> None:
    old = database.create(WEB)
    new = database.rotate("web", 3600)

    assert database.revoke(old.id) == "web"
    states = {secret.id: secret.state(wall.now) for secret in database.key("web").secrets}
    assert states == {old.id: "revoked", new.id: "live"}


def test_what_is_not_there_is_refused(database: Database) -> None:
    for ask in (database.key, database.revoke, lambda name: database.rotate(name, 0)):
        with pytest.raises(OrderRefused, match="'nobody'") as caught:
            ask("nobody")
        assert caught.value.status == 404


def test_another_pepper_is_told(file_database: Database, tmp_path: Path, wall: Wall) -> None:
    other = Pepper("another-0123456789abcdef-0123456789")

    with pytest.raises(StartError, match=r"database\.pepper"):
        open_file(tmp_path / "state" / "access.db", other, wall)


def test_a_file_that_is_none_is_told(tmp_path: Path, pepper: Pepper, wall: Wall) -> None:
    (tmp_path / "text").write_text("this is no database" * 100)

    with pytest.raises(StartError, match=r"database\.path: .*NotADBError"):
        open_file(tmp_path / "text", pepper, wall)


def test_a_newer_gateways_database_is_left_alone(
    file_database: Database, tmp_path: Path, wall: Wall, pepper: Pepper
) -> None:
    file_database._rows.run("PRAGMA user_version = 99")

    with pytest.raises(StartError, match="version 99"):
        open_file(tmp_path / "state" / "access.db", pepper, wall)


def test_many_may_open_and_change_it_at_once(tmp_path: Path, pepper: Pepper, wall: Wall) -> None:
    def work(number: int) -> None:
        one = open_file(tmp_path / "access.db", pepper, wall)
        one.create(KeyOrder(name=f"key-{number}", tenant="shop"))
        one.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(8)))
    one = open_file(tmp_path / "access.db", pepper, wall)
    try:
        assert len(one.read().keys) == 8
        assert one.version() == 9
    finally:
        one.close()


def test_a_key_of_an_organisation_is_of_its_tenant(database: Database) -> None:
    database.put("org", "acme", AccountOrder(tenant="shop"))
    database.put("team", "search", AccountOrder(org="acme"))
    database.create(KeyOrder(name="web", team="search"))
    key = database.key("web")

    assert (key.tenant, key.org, key.team) == ("shop", "acme", "search")
