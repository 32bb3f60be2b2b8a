"""What is served, drawn and learnt on a route under verification, behind a likeness that finds what it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from llmproxy.caches import Mark
from llmproxy.plugin import Answered, Asked, Entry, Exchange, Fresh, Kin, StoredReply
from llmproxy.testing import make_exchange
from llmproxy_semantic.config import SemanticRoute
from llmproxy_semantic.overseeing import Candidate
from llmproxy_semantic.overseer import Known, Overseer
from llmproxy_semantic.quarantine import Quarantine
from llmproxy_semantic.trials import TRIAL
from llmproxy_semantic.verified import Verified

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace
    from llmproxy_semantic.likeness import Likeness


ASKED = Asked(b"p", "How do I reset my router?", {}, 0.0, settled=True)


def answered() -> Answered:
    reply = StoredReply(200, [], b"{}")

    async def other(key: bytes) -> StoredReply:
        return reply

    space = cast("CacheSpace", None)
    entry = Entry(200, b"", b"{}", mark=Mark(0, 0), slots=(), stored=1)
    return Answered(space, b"exact", entry, 60.0, Fresh(reply, other))


class Route:
    """A likeness, its overseer and the route's oversight, all in one."""

    def __init__(self) -> None:
        self.known = Known()
        self.draws, self.refused, self.certain = False, False, True
        self.rows: list[Any] | None = []
        self.candidate: Candidate | None = Candidate(b"key", 0.97, 0)
        self.told: list[str] = []
        self.compared: list[Any] = []

    def of(self, route: str, tenant: str) -> Route:
        return self

    def refuses(self, *_: Any) -> bool:
        return self.refused

    def drawn(self) -> bool:
        self.told.append("coin")
        return self.draws

    async def near(self, *_: Any) -> list[Any] | None:
        self.told.append("near")
        return self.rows

    def best(self, *_: Any) -> Candidate | None:
        return self.candidate

    def serves(self, candidate: Candidate) -> bool:
        return self.certain

    def compare(self, asked: Any, candidate: Any, answers: Any) -> None:
        self.compared.append(candidate)

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine()

    def stored(self, *_: Any, warmest: float) -> None:
        self.told.append("stored")

    def looked(self, outcome: str) -> None:
        self.told.append(outcome)


@pytest.fixture
def route() -> Route:
    return Route()


async def find(route: Route, exchange: Exchange) -> Kin | None:
    verified = Verified(cast("Likeness", route), cast("Overseer", route), "faq", SemanticRoute())
    return await verified.find(exchange, ASKED, "form", cast("CacheSpace", None))


async def test_the_coin_is_thrown_before_anything_is_looked_up(route: Route) -> None:
    assert await find(route, make_exchange()) == Kin(b"key", "semantic", 0.97)
    assert route.told == ["coin", "near", "hit"]
    assert [each.key for each in route.known.served.values()] == [b"key"]


async def test_what_is_drawn_is_not_served_but_compared_later(route: Route) -> None:
    exchange, route.draws = make_exchange(), True

    assert await find(route, exchange) is None
    assert TRIAL in exchange.state
    assert route.compared == []


async def test_who_joined_anothers_call_is_compared_by_its_answer(route: Route) -> None:
    leader, joined, route.draws = make_exchange(), make_exchange(), True
    verified = Verified(cast("Likeness", route), cast("Overseer", route), "faq", SemanticRoute())
    for exchange in (leader, joined):
        await verified.find(exchange, ASKED, "form", cast("CacheSpace", None))
    await verified.stored(leader, ASKED, "form", answered())

    assert route.compared == [route.candidate] * 2


async def test_what_is_drawn_and_finds_nothing_is_a_sample_at_once(route: Route) -> None:
    exchange, route.draws, route.candidate = make_exchange(), True, None

    assert await find(route, exchange) is None
    assert TRIAL not in exchange.state
    assert route.compared == [None]


async def test_what_is_not_certain_is_not_served(route: Route) -> None:
    route.certain = False

    assert await find(route, make_exchange()) is None
    assert route.told[-1] == "none"


async def test_what_cannot_be_compared_is_no_sample(route: Route) -> None:
    route.draws, route.rows = True, None

    assert await find(route, make_exchange()) is None
    route.refused = True
    assert await find(route, make_exchange()) is None
    assert route.compared == []
    assert route.told == ["coin", "near"]
