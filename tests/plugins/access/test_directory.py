from __future__ import annotations

from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmproxy.plugin import Caller
from llmproxy_access import directory as directories
from llmproxy_access.database import Database, open_file
from llmproxy_access.directory import Directory
from llmproxy_access.issuing import Issued
from llmproxy_access.permissions import Grant
from llmproxy_access.records import AccountOrder, Contents, KeyOrder, OrderRefused

from .conftest import PEPPER, Wall

MONTH = 31 * 86400.0
NAMES = st.sampled_from(["one", "two", "three"])


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


def test_a_callers_key_is_held_until_it_is_revoked(database: Database, wall: Wall) -> None:
    issued = database.create(KeyOrder(name="web", tenant="shop"))
    caller = Caller("shop", "web")
    before = Directory(database.read(), wall.now).holds(caller)
    elsewhere = Directory(database.read(), wall.now).holds(Caller("bank", "web"))
    database.revoke(issued.id)
    after = Directory(database.read(), wall.now)

    assert (before, elsewhere, after.holds(caller)) == (True, False, False)
    assert "web" in after.names


def test_digests_of_one_length_are_compared_in_constant_time_whoever_is_asked_for(
    database: Database, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = database.create(KeyOrder(name="web", tenant="shop"))
    directory = Directory(database.read(), wall.now)
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(directories, "compare_digest", lambda *pair: compared.append(pair) or False)
    for public, digest in ((issued.id, issued.digest), (issued.id, b"x" * 32), ("nobody", issued.digest)):
        directory.find(public, digest)

    assert [given for _, given in compared] == [issued.digest, b"x" * 32, issued.digest]
    assert {len(digest) for pair in compared for digest in pair} == {32}


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


class Lives(RuleBasedStateMachine):
    """Keys are made, rotated, revoked and grow old; what is told of each must be as a plain model has it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._wall = Wall()
        self._database = open_file(Path(self._folder.name) / "access.db", PEPPER, self._wall)
        self._ends: dict[Issued, float] = {}
        self._of: dict[Issued, str] = {}

    def teardown(self) -> None:
        self._database.close()
        self._folder.cleanup()

    @rule(name=NAMES, lifetime=st.none() | st.integers(1, 100))
    def make(self, name: str, lifetime: float | None) -> None:
        if name in self._of.values():
            with pytest.raises(OrderRefused):
                self._database.create(KeyOrder(name=name, tenant=f"t-{name}", lifetime=lifetime))
            return
        issued = self._database.create(KeyOrder(name=name, tenant=f"t-{name}", lifetime=lifetime))
        self._of[issued], self._ends[issued] = name, inf if lifetime is None else self._wall.now + lifetime

    @rule(name=NAMES, overlap=st.integers(0, 50), lifetime=st.integers(1, 100))
    def rotate(self, name: str, overlap: float, lifetime: float) -> None:
        try:
            issued = self._database.rotate(name, overlap, lifetime)
        except OrderRefused:
            return
        for each in self._secrets(name):
            self._ends[each] = min(self._ends[each], self._wall.now + overlap)
        self._of[issued], self._ends[issued] = name, self._wall.now + lifetime

    @rule(name=NAMES)
    def revoke(self, name: str) -> None:
        if self._secrets(name):
            self._database.revoke(name)
        for each in self._secrets(name):
            self._ends[each] = -inf

    @rule(number=st.integers(0, 20))
    def revoke_one(self, number: int) -> None:
        if self._of:
            issued = list(self._of)[number % len(self._of)]
            self._database.revoke(issued.id)
            self._ends[issued] = -inf

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self._wall.now += seconds

    @invariant()
    def each_key_stands_for_its_own_tenant_as_long_as_it_lives(self) -> None:
        now = self._wall.now
        directory = Directory(self._database.read(), now)
        for issued, name in self._of.items():
            grant = found(directory, issued)
            lives = grant is not None and (grant.expires is None or grant.expires > now)
            assert lives == (self._ends[issued] > now)
            assert grant is None or grant.caller == Caller(f"t-{name}", name)

    def _secrets(self, name: str) -> list[Issued]:
        return [issued for issued, of in self._of.items() if of == name]


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
