from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmproxy_access.database import Database
from llmproxy_access.records import AccountOrder, KeyOrder, OrderRefused


@pytest.fixture
def accounts(database: Database) -> Database:
    database.put("org", "acme", AccountOrder())
    database.put("org", "other", AccountOrder(tenant="elsewhere"))
    database.put("team", "search", AccountOrder(org="acme", models=("fast",)))
    database.put("user", "ann", AccountOrder(tenant="alone"))
    return database


def test_an_organisation_is_its_own_tenant_unless_another_is_told(accounts: Database) -> None:
    found = {(each.kind, each.name): (each.tenant, each.org) for each in accounts.read().accounts}

    assert found == {
        ("org", "acme"): ("acme", None),
        ("org", "other"): ("elsewhere", None),
        ("team", "search"): ("acme", "acme"),
        ("user", "ann"): ("alone", None),
    }


def test_lists_are_changed_in_place(accounts: Database) -> None:
    accounts.put("team", "search", AccountOrder(org="acme", routes=("chat",)))
    team = next(each for each in accounts.read().accounts if each.kind == "team")

    assert (team.models, team.routes) == (None, ("chat",))


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda at: at.put("team", "search", AccountOrder(org="other")), "account_moved"),
        (lambda at: at.put("org", "acme", AccountOrder(tenant="elsewhere")), "account_moved"),
        (lambda at: at.put("org", "new", AccountOrder(org="acme")), "bad_account"),
        (lambda at: at.put("team", "new", AccountOrder()), "no_tenant"),
        (lambda at: at.put("team", "new", AccountOrder(org="nobody")), "no_such_account"),
        (lambda at: at.put("team", "new", AccountOrder(org="other", tenant="acme")), "other_tenant"),
        (lambda at: at.create(KeyOrder(name="k")), "no_tenant"),
        (lambda at: at.create(KeyOrder(name="k", team="search", org="other")), "other_org"),
        (lambda at: at.create(KeyOrder(name="k", team="search", user="ann")), "other_org"),
        (lambda at: at.create(KeyOrder(name="k", user="ann", tenant="acme")), "other_tenant"),
        (lambda at: at.drop("team", "nobody"), "no_such_account"),
        (lambda at: at.drop("org", "acme"), "account_used"),
    ],
)
def test_nothing_belongs_to_two_or_to_nobody(
    accounts: Database, ask: Callable[[Database], Any], code: str
) -> None:
    before = accounts.read()
    with pytest.raises(OrderRefused) as caught:
        ask(accounts)

    assert caught.value.code == code
    assert accounts.read() == before


def test_what_nothing_belongs_to_is_dropped(accounts: Database) -> None:
    accounts.create(KeyOrder(name="k", team="search"))
    with pytest.raises(OrderRefused, match="belong"):
        accounts.drop("team", "search")
    accounts.drop("user", "ann")

    assert "ann" not in {each.name for each in accounts.read().accounts}
