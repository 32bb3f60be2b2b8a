from __future__ import annotations

from llmproxy.plugin import Caller
from llmproxy_access.database import Database
from llmproxy_access.directory import Directory
from llmproxy_access.issuing import Issued
from llmproxy_access.permissions import Grant
from llmproxy_access.records import AccountOrder, Contents, KeyOrder

from .conftest import Wall

MONTH = 31 * 86400.0


def found(directory: Directory, issued: Issued) -> Grant | None:
    return directory.find(issued.id, issued.digest)


def test_a_key_stands_for_its_tenant_and_is_labelled(database: Database, wall: Wall) -> None:
    database.put("org", "acme", AccountOrder(tenant="shop"))
    database.put("team", "search", AccountOrder(org="acme"))
    database.put("user", "ann", AccountOrder(org="acme"))
    issued = database.create(KeyOrder(name="web", team="search", user="ann"))
    grant = found(Directory(database.read(), wall.now), issued)

    assert grant is not None
    assert grant.caller == Caller("shop", "web", (("org", "acme"), ("team", "search"), ("user", "ann")))
    assert grant.model_check is None


def test_a_wrong_secret_and_an_unknown_id_find_nobody(database: Database, wall: Wall) -> None:
    issued, other = (database.create(KeyOrder(name=name, tenant="shop")) for name in ("web", "batch"))
    directory = Directory(database.read(), wall.now)

    assert directory.find(issued.id, other.digest) is None
    assert directory.find("nobody", issued.digest) is None
    assert directory.find("nobody", bytes(32)) is None


def test_every_list_above_a_key_holds_for_it(database: Database, wall: Wall) -> None:
    database.put("org", "acme", AccountOrder(models=("a", "b", "c")))
    database.put("team", "search", AccountOrder(org="acme", models=("b", "c"), routes=("chat",)))
    issued = database.create(KeyOrder(name="web", team="search", models=("c", "d")))
    grant = found(Directory(database.read(), wall.now), issued)

    assert grant is not None
    assert grant.model_check is not None
    assert [name for name in "abcd" if grant.model_check(name)] == ["c"]
    assert not grant.may_pass("other")


def test_revoked_keys_are_gone_and_long_expired_ones_too(database: Database, wall: Wall) -> None:
    revoked = database.create(KeyOrder(name="revoked", tenant="shop"))
    expired = database.create(KeyOrder(name="expired", tenant="shop", lifetime=60))
    database.revoke("revoked")

    soon, late = (Directory(database.read(), wall.now + passed) for passed in (61, MONTH))
    assert found(soon, revoked) is None
    assert found(soon, expired) is not None
    assert found(late, expired) is None


def test_a_callers_labels_count_in_his_own_tenant_alone(database: Database, wall: Wall) -> None:
    database.put("org", "acme", AccountOrder(tenant="shop"))
    database.put("team", "search", AccountOrder(org="acme", models=("fast",)))
    directory = Directory(database.read(), wall.now)

    own, _ = directory.limits(Caller("shop", "", (("team", "search"),)))
    others, _ = directory.limits(Caller("elsewhere", "", (("team", "search"),)))
    assert [names.names for names in own] == [("fast",)]
    assert others == ()


def test_an_empty_directory_knows_nobody() -> None:
    assert Directory(Contents(), 0.0).find("any", bytes(32)) is None
    assert repr(Directory(Contents(), 0.0)) == "<Directory 0 of 0 keys>"
