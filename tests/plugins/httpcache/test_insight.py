"""Why a request was a hit or a miss, by a gateway that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
CONFIG = """
admin: {{listen: "127.0.0.1:0", token: "${{env:TOKEN}}"}}
stores: {{answers: {{url: "memory://?max_bytes=1MiB"}}}}
upstreams: {{origin: {{base_url: "{origin}", dialect: http}}}}
plugins: {{httpcache: {{store: answers}}}}
routes:
  - name: catalogue
    match: {{path: "/c/*"}}
    upstream: origin
    plugins: [{{httpcache: {{profile: rfc9111, ttl: 1m, vary: [X-Version]}}}}]
  - name: nothing
    match: {{path: "/n/*"}}
    upstream: origin
    plugins: [httpcache]
"""


async def answer(request: web.Request) -> web.Response:
    headers = {"Vary": "Accept-Language"} if "vary" in request.path else {}
    return web.Response(text="Qqq", headers={"Cache-Control": "max-age=100", **headers})


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    async with served(answer) as url:
        yield url


class Asker:
    """Asks a gateway, and asks it why."""

    def __init__(self, gateway: RunningGateway, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._session = session

    async def ask(self, path: str, **headers: str) -> str:
        fields = {"Host": "shop.test", **headers}
        async with self._session.get(self._gateway.url + path, headers=fields) as reply:
            assert reply.status == 200
            return reply.headers["Cache-Status"]

    async def why(self, path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
        tree = {"url": f"http://shop.test{path}", "method": method, "headers": headers}
        told = await self.post("/cache/explain", tree)
        assert "secret" not in repr(told)
        insight: dict[str, Any] = told["caches"]["httpcache"]
        return insight

    async def post(self, path: str, tree: dict[str, Any]) -> dict[str, Any]:
        url, bearer = self._gateway.admin_url + path, {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.post(url, json=tree, headers=bearer) as reply:
            told: dict[str, Any] = await reply.json()
            return told

    async def warm(self, text: str) -> str:
        url, bearer = self._gateway.admin_url + "/cache/warm", {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.post(url, data=text, headers=bearer) as reply:
            return await reply.text()


@pytest.fixture
async def asker(origin: str) -> AsyncIterator[Asker]:
    async with (
        running_gateway(CONFIG.format(origin=origin), environ={"TOKEN": TOKEN}) as gateway,
        aiohttp.ClientSession() as session,
    ):
        yield Asker(gateway, session)


async def test_a_hit_says_how_fresh_it_is(asker: Asker) -> None:
    await asker.ask("/c/secret?a=1")
    entry = (await asker.why("/c/secret?a=1"))["entry"]

    assert (entry["state"], entry["lifetime"], entry["size"]) == ("fresh", 100, 3)


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/c/secret?a=2&b=1", {}, "query a"),
        ("/c/secret?a=1", {}, "query b"),
        ("/c/secrets?a=1&b=1", {}, "path"),
        ("/c/secret?a=1&b=1", {"X-Version": "secret"}, "field x-version"),
    ],
)
async def test_a_miss_names_the_part_that_differs(
    asker: Asker, path: str, headers: dict[str, str], name: str
) -> None:
    await asker.ask("/c/elsewhere?x=9")
    await asker.ask("/c/secret?a=1&b=1")
    told = await asker.why(path, **headers)

    assert told["entry"]["state"] == "none"
    assert [each["name"] for each in told["near"]["differences"]] == [name]


async def test_another_language_is_named(asker: Asker) -> None:
    await asker.ask("/c/vary", **{"Accept-Language": "de"})
    hit = await asker.why("/c/vary", **{"Accept-Language": "de"})
    miss = await asker.why("/c/vary", **{"Accept-Language": "fr"})

    assert hit["entry"]["state"] == "fresh"
    assert miss["entry"]["more"] == "other variants: 1"
    assert [each["name"] for each in miss["near"]["differences"]] == ["vary accept-language"]


async def test_what_an_answer_selects_by_is_no_reason_where_the_key_is_another(asker: Asker) -> None:
    await asker.ask("/c/vary?a=1", **{"Accept-Language": "de"})
    told = await asker.why("/c/vary?a=2")

    assert [each["name"] for each in told["near"]["differences"]] == ["query a"]


async def test_another_tenant_learns_nothing(asker: Asker) -> None:
    await asker.ask("/c/secret")
    told = await asker.post("/cache/explain", {"url": "http://shop.test/c/secret", "tenant": "other"})

    assert told["caches"]["httpcache"]["entry"]["state"] == "none"
    assert told["caches"]["httpcache"].get("near") is None


@pytest.mark.parametrize(("soft", "state"), [(False, "purged"), (True, "softly purged")])
async def test_what_was_purged_is_told_as_purged(asker: Asker, soft: bool, state: str) -> None:
    await asker.ask("/c/secret")
    assert (await asker.post("/cache/purge", {"all": True, "soft": soft}))["purged"]

    assert (await asker.why("/c/secret"))["entry"]["state"] == state


async def test_what_goes_past_says_why(asker: Asker) -> None:
    assert (await asker.why("/n/secret"))["kept"] == "no: stateless"
    assert (await asker.why("/c/secret", method="PUT"))["kept"] == "no: method"


async def test_who_wants_it_asked_anew_is_told_so(asker: Asker) -> None:
    await asker.ask("/c/secret")
    entry = (await asker.why("/c/secret", **{"Cache-Control": "no-cache"}))["entry"]

    assert (entry["state"], entry["more"]) == ("fresh", "the request wants it asked anew")


async def test_warmed_answers_are_hits_and_pinned_ones_are_what_was_given(asker: Asker) -> None:
    told = await asker.warm(
        '{"url": "http://shop.test/c/warm"}\n'
        '{"url": "http://shop.test/c/vary", "headers": {"Accept-Language": "de"}}\n'
        '{"url": "http://shop.test/c/pinned", "reply": {"body": "pinned", "headers": {"Content-Type": "text/plain"}}}\n'
        '{"url": "http://shop.test/n/x"}\n'
    )
    statuses = [await asker.ask("/c/warm"), await asker.ask("/c/pinned")]
    statuses.append(await asker.ask("/c/vary", **{"Accept-Language": "de"}))

    assert told.count('"stored"') == 4  # three lines, and the sum
    assert "not kept" in told
    assert all("; hit" in status for status in statuses), statuses
    assert (await asker.why("/c/pinned"))["entry"]["more"] == "pinned"
