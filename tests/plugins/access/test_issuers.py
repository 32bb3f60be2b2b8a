from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.plugin import Caller, GatewayError, RegistryAway
from llmproxy.testing import FakeUpstream
from llmproxy_access import issuers
from llmproxy_access.database import Database
from llmproxy_access.directory import Directory
from llmproxy_access.issuers import IssuerKeys, Issuers, open_issuers
from llmproxy_access.records import AccountOrder
from llmproxy_access.tokensettings import ClaimNames, IssuerConfig

from .signing import ISSUER, KEY, NEXT, WALL, keys_of, signed

URL = "http://127.0.0.1:1/keys"
CONFIG = IssuerConfig(
    name="corp", issuer=ISSUER, audience=("llmproxy",), claims=ClaimNames(tenant="org", user="sub"), jwks=URL
)


class World:
    """An issuer that answers when it is let, a clock that is moved, a log."""

    def __init__(self) -> None:
        self.time, self.clock = 0.0, self
        self.log: Any = self
        self.told: Any = keys_of(KEY)
        self.asked: list[str] = []
        self.warnings: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return WALL + self.time

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append(f"{event} {fields}")

    async def fetch(self, url: str) -> Any:
        self.asked.append(url)
        await self.gate.wait()
        if isinstance(self.told, Exception):
            raise self.told
        return self.told[url] if "keys" not in self.told else self.told

    def issuers(self, config: IssuerConfig = CONFIG) -> Issuers:
        runtime: Any = self
        return Issuers([IssuerKeys(config, self.fetch, runtime)], self.wall)


@pytest.fixture
def world() -> World:
    return World()


async def refused(held: Issuers, token: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await held.find(token, None)
    return caught.value


async def test_a_token_is_let_in_as_whom_it_names(world: World) -> None:
    grant = await world.issuers().find(signed(), None)

    assert grant is not None
    assert grant.caller == Caller("acme", "corp", (("user", "ann"),))


async def test_the_issuer_is_asked_once_however_many_come(world: World) -> None:
    held = world.issuers()
    world.gate.clear()
    asking = [asyncio.ensure_future(held.find(signed(sub=f"user-{n}"), None)) for n in range(20)]
    await asyncio.sleep(0)
    world.gate.set()
    grants = await asyncio.gather(*asking)

    assert len({dict(grant.caller.labels)["user"] for grant in grants if grant}) == 20
    assert world.asked == [URL]


async def test_who_gives_up_while_asking_leaves_it_to_the_next(world: World) -> None:
    held = world.issuers()
    world.gate.clear()
    first = asyncio.ensure_future(held.find(signed(), None))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(held.find(signed(), None))
    await asyncio.sleep(0)
    first.cancel()
    world.gate.set()

    assert await second is not None


async def test_a_new_key_is_asked_for_once_and_an_invented_one_no_more_often(world: World) -> None:
    held = world.issuers()
    await held.find(signed(), None)
    world.told, world.time = keys_of(KEY, NEXT), 10.0
    new = await held.find(signed(NEXT), None)
    invented = [(await refused(held, signed(KEY, head={"kid": f"no-{n}"}))).code for n in range(5)]

    assert new is not None
    assert invented == ["invalid_token"] * 5
    assert len(world.asked) == 2


async def test_tokens_with_the_same_beginning_are_never_taken_for_one_another(world: World) -> None:
    held = world.issuers()
    ann, eve = signed(sub="ann"), signed(sub="eve")
    users = [
        dict(grant.caller.labels)["user"]
        for grant in [await held.find(each, None) for each in (ann, eve)]
        if grant
    ]
    forged = b".".join((*ann.split(b".")[:2], eve.split(b".")[2]))

    assert ann[:60] == eve[:60]
    assert users == ["ann", "eve"]
    assert (await refused(held, forged)).code == "invalid_token"


async def test_a_remembered_token_ends_with_its_time(world: World) -> None:
    held, token = world.issuers(), signed(exp=int(WALL) + 300)
    first = await held.find(token, None)
    world.time = 329.0
    again = await held.find(token, None)
    world.time = 330.0

    assert again is first
    assert [(await refused(held, token)).code for _ in range(2)] == ["expired_token"] * 2


@pytest.mark.parametrize("left", [60.0, 10.0**6])
async def test_who_waits_for_keys_finds_a_token_forgotten_meanwhile(
    world: World, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "REMEMBERED", 1)
    held, token = world.issuers(), signed(exp=int(WALL) + int(left))
    await held.find(token, None)
    world.time = CONFIG.stale + 1.0
    world.gate.clear()
    asking = [
        asyncio.ensure_future(held.find(each, None))
        for each in (token, signed(sub="bob", exp=int(WALL) + 10**6), token)
    ]
    await asyncio.sleep(0)
    world.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)

    its = "GatewayError" if left == 60.0 else "Grant"
    assert [type(each).__name__ for each in found] == [its, "Grant", its]


async def test_a_token_whose_key_was_withdrawn_is_remembered_no_longer(world: World) -> None:
    held, token = world.issuers(), signed()
    await held.find(token, None)
    world.told, world.time = keys_of(NEXT), 10.0
    await held.find(signed(NEXT), None)

    assert (await refused(held, token)).code == "invalid_token"


async def test_what_is_remembered_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "REMEMBERED", 3)
    held = world.issuers()
    for number in range(5):
        await held.find(signed(sub=f"user-{number}"), None)

    assert len(held._remembered) == 3


async def test_another_issuers_token_is_not_theirs(world: World) -> None:
    held = world.issuers()

    assert await held.find(signed(iss="https://other.example"), None) is None
    assert await held.find(b"llmp-no-token", None) is None
    assert world.asked == []


async def test_an_issuer_that_is_away_is_told_and_asked_again_later(world: World) -> None:
    held = world.issuers()
    world.told = RegistryAway("corp:443 answers 500")
    away = [await refused(held, signed()) for _ in range(3)]
    world.told, world.time = keys_of(KEY), 10.0

    assert {(error.status, error.code) for error in away} == {(503, "tokens_unavailable")}
    assert len(world.asked) == 1
    assert world.warnings == ["token_issuer_away {'issuer': 'corp', 'why': 'corp:443 answers 500'}"]
    assert await held.find(signed(), None) is not None


async def test_keys_go_on_while_their_issuer_is_away_but_not_for_ever(world: World) -> None:
    held, token = world.issuers(), signed(exp=int(WALL) + 10**6)
    await held.find(token, None)
    world.told, world.time = RegistryAway("away"), CONFIG.stale
    known = await held.find(token, None)
    world.time += 1

    assert known is not None
    assert (await refused(held, token)).status == 503


@pytest.mark.parametrize("told", [[], {"keys": []}, {"keys": [{"kty": "EC"}]}, {"keys": 7}, "text"])
async def test_what_is_no_set_of_keys_is_told(world: World, told: Any) -> None:
    world.told = {"keys": None, **told} if isinstance(told, dict) else {URL: told}

    assert (await refused(world.issuers(), signed())).status == 503
    assert len(world.warnings) == 1


async def test_an_issuer_tells_where_its_keys_are(world: World) -> None:
    config = IssuerConfig(name="corp", issuer=ISSUER, audience=("llmproxy",), tenant="t")
    document = f"{ISSUER}/.well-known/openid-configuration"
    world.told = {document: {"issuer": ISSUER, "jwks_uri": URL}, URL: keys_of(KEY)}

    assert await world.issuers(config).find(signed(), None) is not None
    assert world.asked == [document, URL]


@pytest.mark.parametrize(
    "document", [{"issuer": "https://other", "jwks_uri": URL}, {"issuer": ISSUER, "jwks_uri": "http://x/"}]
)
async def test_a_document_that_sends_elsewhere_is_not_followed(world: World, document: Any) -> None:
    config = IssuerConfig(name="corp", issuer=ISSUER, audience=("llmproxy",), tenant="t")
    world.told = {
        f"{ISSUER}/.well-known/openid-configuration": document,
        "http://x/": keys_of(KEY),
        URL: keys_of(KEY),
    }

    assert (await refused(world.issuers(config), signed())).status == 503
    assert len(world.asked) == 1


async def test_lists_of_the_issuer_and_of_the_database_hold_at_once(world: World, database: Database) -> None:
    config = IssuerConfig(
        name="corp",
        issuer=ISSUER,
        audience=("llmproxy",),
        jwks=URL,
        claims=ClaimNames(tenant="org", team="sub"),
        models=("a", "b"),
        routes=("chat",),
    )
    database.put("team", "ann", AccountOrder(tenant="acme", models=("b", "c")))
    held, token = world.issuers(config), signed()
    before, after = [await held.find(token, each) for each in (None, Directory(database.read(), WALL))]

    assert before is not None
    assert after is not None
    assert before.model_check is not None
    assert after.model_check is not None
    assert [name for name in "abc" if before.model_check(name)] == ["a", "b"]
    assert [name for name in "abc" if after.model_check(name)] == ["b"]
    assert not after.may_pass("other")


async def test_keys_are_fetched_over_http(world: World) -> None:
    async with FakeUpstream().reply(json=keys_of(KEY)) as server:
        config = IssuerConfig(
            name="corp", issuer=ISSUER, audience=("llmproxy",), tenant="t", jwks=f"{server.url}/k?v=1"
        )
        runtime: Any = SimpleNamespace(clock=Moving(world), log=world)
        async with open_issuers([config], runtime) as held:
            grant = await held.find(signed(), None)

    assert grant is not None
    assert [request.target for request in server.requests] == ["/k?v=1"]


class Moving:
    """A world's clock, on which sleepers never wake."""

    def __init__(self, world: World) -> None:
        self.now, self.wall = world.now, world.wall

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()
