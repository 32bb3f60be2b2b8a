from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import Caller, Headers, Reply
from llmproxy.testing import FakeUpstream
from llmproxy_httpcache.querying import is_json

from .asking_graphql import FRESH, JSON, answering, get, post, product
from .stage import ETAG, staged, status

ONE = {"data": {"product": product(1)}}
QUERY = "query P($id: ID!) { product(id: $id) { __typename id price } }"


async def test_a_query_is_stored_under_what_it_means_by_either_method() -> None:
    async with staged(answering(ONE), "api", graphql=True) as stage:
        first = await post(stage, QUERY, variables={"id": "1"})
        second = await post(stage, QUERY.replace(" ", "\n , "), variables={"id": "1"}, operationName=None)
        third = await get(stage, query=QUERY, variables='{ "id": "1" }')

        assert first.body == second.body == third.body == orjson.dumps(ONE)
        assert [status(each) for each in (second, third)] == ["llmproxy; hit"] * 2
        assert stage.asked == 1


async def test_other_variables_have_another_answer() -> None:
    async with staged(answering(ONE, {"data": {"product": product(2)}}), "api", graphql=True) as stage:
        for number in ("1", "2", "1", "2"):
            served = await post(stage, QUERY, variables={"id": number})

            assert orjson.loads(served.body)["data"]["product"]["id"] == number
        assert stage.asked == 2


async def test_tenants_do_not_share_and_what_the_origin_forbids_holds() -> None:
    async with staged(answering(ONE), "api", graphql=True) as stage:
        for name in ("one", "two"):
            await post(stage, QUERY, caller=Caller(name), variables={"id": "1"})

        assert stage.asked == 2
    private = FakeUpstream().reply(body=orjson.dumps(ONE), headers=[JSON, ("Cache-Control", "no-store")])
    async with staged(private, "semi-static", graphql=True) as stage:
        for _ in range(2):
            await post(stage, "{a}")

        assert stage.asked == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"data": None, "errors": [{"message": "no"}]}, "errors"),
        ({"data": {"a": 1}, "errors": [{"message": "no"}]}, "errors"),
        ({"message": "no"}, "unreadable"),
    ],
)
async def test_an_answer_with_errors_is_not_stored_and_says_why(answer: dict[str, Any], reason: str) -> None:
    async with staged(answering(answer), "api", graphql=True) as stage:
        for _ in range(2):
            served = await post(stage, "{a}")

            assert f'detail="{reason}"' in (served.reply.headers.get("cache-status") or "")
            assert served.body == orjson.dumps(answer)
        assert stage.asked == 2


async def test_an_answer_larger_than_the_route_reads_is_passed_on() -> None:
    answer = {"data": {"a": "x" * 3000}}
    async with staged(answering(answer), "api", graphql={"max_answer": "2KiB"}) as stage:
        for _ in range(2):
            assert (await post(stage, "{a}")).body == orjson.dumps(answer)
        assert stage.asked == 2


async def test_a_streamed_answer_is_stored_once_it_is_whole() -> None:
    origin = FakeUpstream().stream([b'{"data":', b'{"a":1}}'], delay=0.01, headers=[FRESH, JSON])
    async with staged(origin, "api", graphql=True) as stage:
        for _ in range(2):
            assert (await post(stage, "{a}")).body == b'{"data":{"a":1}}'
        assert stage.asked == 1


async def test_subscriptions_batches_and_what_is_unclear_pass_by() -> None:
    async with staged(answering(ONE), "api", graphql=True) as stage:
        for query in ("subscription {a}", "query A {a} query B {b}"):
            for _ in range(2):
                assert status(await post(stage, query)) == "llmproxy; fwd=bypass; fwd-status=200"
        body = b'[{"query":"{a}"}]'
        await stage.ask("/graphql", "POST", body=body, Content_Type="application/json")
        await stage.ask(
            "/graphql?query={b}", "POST", body=b'{"query":"{a}"}', Content_Type="application/json"
        )

        assert stage.asked == 6


async def test_a_get_whose_body_may_ask_something_else_passes_by() -> None:
    target, evil = "/graphql?query=%7Bme%7D", orjson.dumps({"query": "{ secret }"})
    async with staged(answering({"data": {"secret": 1}}, {"data": {"me": 2}}), "api", graphql=True) as stage:
        fields = {"Content_Type": "application/json", "Content_Length": str(len(evil))}
        fat = await stage.ask(target, body=evil, **fields)

        assert status(fat) == "llmproxy; fwd=bypass; fwd-status=200"
        assert orjson.loads((await stage.ask(target)).body) == {"data": {"me": 2}}


async def test_an_answer_is_purged_by_its_entities_after_a_confirmation_too() -> None:
    origin = FakeUpstream().reply(
        body=orjson.dumps(ONE), headers=[JSON, ETAG, ("Cache-Control", "max-age=5")]
    )
    origin.reply(304, body=b"", headers=[ETAG, FRESH]).reply(body=orjson.dumps(ONE), headers=[JSON, FRESH])
    async with staged(origin, "api", graphql=True) as stage:
        purge = stage.serving.generation.process.spaces.purge
        await post(stage, QUERY)
        stage.later(10)
        await post(stage, QUERY)
        await post(stage, QUERY)
        assert stage.asked == 2
        await purge(PurgeOrder((Purge("tag", ("Product:2",)),)))
        await post(stage, QUERY)
        assert stage.asked == 2
        await purge(PurgeOrder((Purge("tag", ("Product:1",)),)))
        await post(stage, QUERY)

        assert stage.asked == 3


async def test_a_stale_answer_is_made_anew_by_the_same_query() -> None:
    control = ("Cache-Control", "max-age=5, stale-while-revalidate=60")
    origin = FakeUpstream()
    for price in (1, 2):
        told = orjson.dumps({"data": {"product": product(1, price)}})
        origin.reply(body=told, headers=[JSON, control])
    async with staged(origin, "api", graphql=True) as stage:
        await post(stage, QUERY)
        stage.later(10)
        old, new = await post(stage, QUERY), await post(stage, QUERY)

        assert [orjson.loads(each.body)["data"]["product"]["price"] for each in (old, new)] == [1, 2]
        assert origin.requests[1].body == origin.requests[0].body


async def test_what_is_no_graphql_is_cached_as_ever() -> None:
    async with staged(FakeUpstream().reply(body=b"<html>", headers=[FRESH]), "api", graphql=True) as stage:
        for _ in range(2):
            assert (await stage.ask("/graphql?lang=de")).body == b"<html>"
        assert stage.asked == 1


@pytest.mark.parametrize(
    ("media", "json"),
    [
        ("application/json; charset=utf-8", True),
        ("application/graphql-response+json", True),
        ("multipart/mixed", False),
    ],
)
def test_an_answer_in_one_piece_is_json(media: str, json: bool) -> None:
    assert is_json(Reply(200, Headers.of({"Content-Type": media}))) == json
