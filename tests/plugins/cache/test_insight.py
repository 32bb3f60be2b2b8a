"""Why a request was a hit or a miss, by a gateway that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
CONFIG = """
admin: {listen: "127.0.0.1:0", token: "${env:TOKEN}"}
stores: {answers: {url: "memory://?max_bytes=1MiB"}}
upstreams: {demo: {base_url: "http://demo.invalid", dialect: demo}}
plugins: {cache: {store: answers}}
routes:
  - name: models
    match: {path: "/v1/*"}
    upstream: demo
    plugins: [{cache: {profile: faq, ttl: 1h, key_headers: [x-version]}}]
  - name: drawn
    match: {path: "/v1/*", host: drawn.test}
    upstream: demo
    plugins: [{cache: {profile: faq, variants: 3}}]
"""
PATH = "/v1/chat/completions"
SECRET = "Launch code Qqq"


def body(text: str = SECRET, **more: Any) -> dict[str, Any]:
    return {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": text}], **more}


class Asker:
    """Asks a gateway, and asks it why."""

    def __init__(self, gateway: RunningGateway, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._session = session

    async def ask(self, tree: dict[str, Any], **headers: str) -> None:
        async with self._session.post(self._gateway.url + PATH, json=tree, headers=headers) as reply:
            assert reply.status == 200

    async def why(self, tree: dict[str, Any], **more: Any) -> dict[str, Any]:
        told = await self.post("/cache/explain", {"path": PATH, "body": tree, **more})
        assert "Qqq" not in repr(told)
        insight: dict[str, Any] = told["caches"]["cache"]
        return insight

    async def post(self, path: str, tree: dict[str, Any]) -> dict[str, Any]:
        url, bearer = self._gateway.admin_url + path, {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.post(url, json=tree, headers=bearer) as reply:
            told: dict[str, Any] = await reply.json()
            return told


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    async with (
        running_gateway(CONFIG, environ={"TOKEN": TOKEN}) as gateway,
        aiohttp.ClientSession() as session,
    ):
        yield Asker(gateway, session)


def changed(insight: dict[str, Any]) -> list[str]:
    return [each["name"] for each in insight["near"]["differences"]]


async def test_a_hit_says_how_fresh_it_is(asker: Asker) -> None:
    await asker.ask(body())
    told = await asker.why(body())

    assert told["entry"]["state"] == "fresh"
    assert told["entry"]["lifetime"] == 3600
    assert "near" not in told or told["near"] is None


async def test_what_was_asked_in_another_form_is_told_so(asker: Asker) -> None:
    await asker.ask(body())

    assert (await asker.why(body(stream=True)))["entry"]["state"] == "other form"


@pytest.mark.parametrize(
    ("tree", "headers", "name", "why"),
    [
        (body(temperature=0.2), {}, "temperature", ""),
        (body("Launch  code Qqq"), {}, "messages[0]", "blanks or case"),
        (body("launch code Qqq"), {}, "messages[0]", "blanks or case"),
        (body("Launch code qqq!"), {}, "messages[0]", ""),
        (body(seed=7), {}, "seed", "only here"),
        (body(), {"X-Version": "2"}, "header x-version", "only here"),
    ],
)
async def test_a_miss_names_the_part_that_differs(
    asker: Asker, tree: dict[str, Any], headers: dict[str, str], name: str, why: str
) -> None:
    await asker.ask(body("Something else, and further away", max_tokens=9))
    await asker.ask(body())
    told = await asker.why(tree, headers=headers)

    assert told["entry"]["state"] == "none"
    assert changed(told) == [name]
    assert told["near"]["differences"][0]["why"] == why


async def test_another_tenant_learns_nothing(asker: Asker) -> None:
    await asker.ask(body())
    told = await asker.why(body(), tenant="other")

    assert told["entry"]["state"] == "none"
    assert told.get("near") is None


@pytest.mark.parametrize(("soft", "state"), [(False, "purged"), (True, "softly purged")])
async def test_what_was_purged_is_told_as_purged(asker: Asker, soft: bool, state: str) -> None:
    await asker.ask(body())
    assert (await asker.post("/cache/purge", {"all": True, "soft": soft}))["purged"]
    told = await asker.why(body())

    assert told["entry"]["state"] == state


async def test_what_is_not_kept_says_why_and_names_the_part_all_the_same(asker: Asker) -> None:
    await asker.ask(body())
    told = await asker.why(body(n=2, logprobs=True), headers={"Cache-Control": "no-store"})

    assert told["kept"] == "no: asked"
    assert changed(told) == ["logprobs", "n"]
    assert "entry" not in told or told["entry"] is None


async def test_a_drawn_answer_is_found_whichever_it_is(asker: Asker) -> None:
    tree = body(temperature=1)
    await asker.ask(tree, Host="drawn.test")
    told = await asker.why(tree, headers={"Host": "drawn.test"})

    assert told["entry"]["state"] == "fresh"


async def test_the_terms_say_where_they_come_from(asker: Asker) -> None:
    terms = dict((await asker.why(body()))["terms"])

    assert terms["profile"] == "faq (the route's own)"
    assert terms["ttl"] == "1h (the route's own)"
