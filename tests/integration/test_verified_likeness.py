"""A gateway whose answers by likeness are verified: what is learnt, what is served by it, what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import aiohttp
import pytest
from tests.blind import Blind

from llmproxy.plugin import CallNext, Exchange, NoConfig, Plugin, Reply, hookimpl
from llmproxy.testing import RunningGateway, running_gateway

ADMIN = {"Authorization": "Bearer a-token-of-the-admin"}
#: Each asks for the same as the others, in words that no form makes equal.
QUESTIONS = [
    f"{begin} the {kind} {thing} {end}"
    for begin, end, kind, thing in product(
        ("Tell me how to reset", "Show me how to reset", "Explain how to reset", "Describe how to reset"),
        ("thoroughly", "gently", "properly", "quickly", "safely", "completely"),
        ("small", "tiny", "little"),
        ("router", "modem"),
    )
]


class Canned(Plugin[NoConfig]):
    """Stands for the upstream: answers all alike, or each otherwise; as a judge it says what it is told to."""

    alike, verdict, asked = True, "SAME", 0

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        Canned.asked += 1
        judges = b"You compare two answers" in await exchange.body()
        text = Canned.verdict if judges else "Press it." if Canned.alike else f"Press {Canned.asked}."
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply.json({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]})


@asynccontextmanager
async def blind(*_: object) -> AsyncIterator[Blind]:
    yield Blind()


class Asking:
    """A gateway, and who asks it."""

    def __init__(self, gateway: RunningGateway, session: aiohttp.ClientSession) -> None:
        self.gateway, self._session = gateway, session

    async def ask(self, text: str) -> Any:
        body = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": text}]}
        async with self._session.post(f"{self.gateway.url}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
            return answer.headers

    async def ask_all(self, questions: list[str]) -> None:
        for question in questions:
            await self.ask(question)
            await self.settle()

    async def settle(self) -> None:
        """Wait until what was asked is kept, found and compared."""
        names = ("flight-keep", "semantic:keep-row", "semantic:judge")
        while work := [task for task in asyncio.all_tasks() if task.get_name() in names]:
            await asyncio.wait(work)
        await asyncio.sleep(0)

    async def told(self) -> Any:
        async with self._session.get(f"{self.gateway.admin_url}/semantic", headers=ADMIN) as answer:
            return (await answer.json())["routes"]["faq"]

    async def report(self, **what: str) -> int:
        url = f"{self.gateway.admin_url}/semantic/reports"
        async with self._session.post(url, headers=ADMIN, json=what) as answer:
            return answer.status


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr("llmproxy_semantic.plugin.open_embedding", blind)
    monkeypatch.setattr(Canned, "asked", 0)
    monkeypatch.setenv("ADMIN", "a-token-of-the-admin")

    @asynccontextmanager
    async def run(*, alike: bool, **verified: Any) -> AsyncIterator[Asking]:
        monkeypatch.setattr(Canned, "alike", alike)
        async with running_gateway(config(verified)) as gateway, aiohttp.ClientSession() as session:
            yield Asking(gateway, session)

    return run


def config(verified: dict[str, Any]) -> dict[str, Any]:
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN}"},
        "stores": {"answers": "memory://"},
        "upstreams": {"main": {"base_url": "http://main.invalid/v1", "dialect": "openai"}},
        "plugins": {
            "semantic": {"policy": "verified", "verified": {"delta": 0.05, "coin": 1.0, **verified}},
            "cache": {"store": "answers"},
            "canned": {"use": Canned},
        },
        "routes": [
            {
                "name": "judging",
                "match": {"path": "/judge/*"},
                "upstream": "main",
                "plugins": ["canned"],
            },
            {
                "name": "faq",
                "upstream": "main",
                "plugins": [
                    {"semantic": {"within": "5s"}},
                    {"cache": {"ttl": "5m", "invalidation": "tags"}},
                    "canned",
                ],
            },
        ],
    }


async def test_what_is_borne_out_is_certified_and_served_and_outlives_a_reload(asking: Any) -> None:
    async with asking(alike=True, window=200) as route:
        await route.ask_all(QUESTIONS[:125])
        told = await route.told()

        assert (told["state"], told["certified"], told["wrong"], told["left_out"]) == ("verified", True, 0, 0)
        assert told["samples"] >= 120
        assert told["hits"] > 50
        assert (await route.gateway.reload(config({"window": 200}))).ok
        served = [await route.ask(question) for question in QUESTIONS[125:130]]
        hits = [each for each in served if 'detail="semantic"' in each["Cache-Status"]]
        assert hits
        assert await route.report(exchange=hits[0]["X-Request-Id"]) == 200
        assert await route.report(exchange=hits[0]["X-Request-Id"]) == 404
        assert [await route.report(route="faq") for _ in range(2)] == [200, 200]
        told = await route.told()
        assert (told["state"], told["vetoes"], told["brakes"]) == ("strict", 1, 1)


async def test_what_is_wrong_is_vetoed_and_stops_likeness(asking: Any) -> None:
    async with asking(alike=False) as route:
        await route.ask_all(QUESTIONS[:40])
        told = await route.told()

        assert told["state"] == "off"
        assert told["brakes"] >= 1
        assert told["vetoes"] > 5
        assert told["quarantined"] > 0


@pytest.mark.parametrize(
    ("says", "left_out", "wrong"), [("SAME", False, False), ("OTHER", False, True), ("Well", True, False)]
)
async def test_a_judge_is_asked_and_what_it_cannot_say_is_left_out(
    asking: Any, says: str, left_out: bool, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Canned, "verdict", says)
    judge = {"model": "judge", "path": "/judge/v1/chat/completions"}
    async with asking(alike=False, judge=judge) as route:
        await route.ask_all(QUESTIONS[:8])
        told = await route.told()

        assert (told["left_out"] > 0) == left_out
        assert (told["vetoes"] > 0) == wrong
