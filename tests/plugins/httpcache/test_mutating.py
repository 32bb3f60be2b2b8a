from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import FakeUpstream

from .asking_graphql import FRESH, JSON, answering, get, post, product
from .stage import staged, status

ONE, TWO = ({"data": {"product": product(number)}} for number in (1, 2))
CHANGED = {"data": {"setPrice": product(1, 9)}}
REFUSED = {"errors": [{"message": "no"}]}


@pytest.mark.parametrize(
    ("answer", "settings", "asked_again"),
    [
        (CHANGED, {}, "1"),
        (CHANGED, {"purge_by": "type"}, "12"),
        ({"data": {"deleteProduct": True}}, {}, "12"),
        ({"data": {"deleteProduct": True}}, {"without_entities": "keep"}, ""),
        (REFUSED, {}, ""),
        ({"data": None, "errors": [{"message": "half"}]}, {}, "12"),
        ({"message": "what?"}, {}, "12"),
    ],
)
async def test_a_mutation_ends_the_answers_with_the_entities_that_it_returns(
    answer: dict[str, Any], settings: dict[str, str], asked_again: str
) -> None:
    async with staged(answering(ONE, TWO, answer, ONE), "api", graphql=settings or True) as stage:
        await post(stage, '{product(id: "1")}')
        await get(stage, query='{product(id: "2")}')
        told = await post(stage, "mutation {a}", caller=Caller("other"))
        again = ""
        for number in ("1", "2"):
            served = await post(stage, f'{{product(id: "{number}")}}')
            again += number if status(served) != "llmproxy; hit" else ""

        assert told.body == orjson.dumps(answer)
        assert 'detail="mutation"' in (told.reply.headers.get("cache-status") or "")
        assert again == asked_again


async def test_a_mutation_is_never_answered_out_of_the_store() -> None:
    async with staged(answering(CHANGED), "semi-static", graphql=True) as stage:
        for _ in range(3):
            await post(stage, "mutation {a}")

        assert stage.asked == 3


async def test_a_mutation_whose_answer_breaks_off_ends_every_answer_of_its_path() -> None:
    origin = answering(ONE)
    origin.reply(body=b"x" * 100_000, headers=[JSON], then="reset", after=70_000)
    origin.reply(body=orjson.dumps(ONE), headers=[FRESH, JSON])
    async with staged(origin, "api", graphql=True) as stage:
        await post(stage, "{a}")
        broken = await post(stage, "mutation {a}")
        again = await post(stage, "{a}")

        assert broken.reply.status == 502
        assert status(again) != "llmproxy; hit"


async def test_a_mutation_that_failed_ends_nothing() -> None:
    origin = answering(ONE)
    origin.reply(500, body=orjson.dumps(CHANGED), headers=[JSON])
    async with staged(origin, "api", graphql=True) as stage:
        await post(stage, "{a}")
        await post(stage, "mutation {a}")

        assert status(await post(stage, "{a}")) == "llmproxy; hit"


async def test_an_answer_in_parts_is_passed_on_as_it_comes_and_ends_everything() -> None:
    origin = answering(ONE)
    origin.stream([b"one ", b"two"], delay=0.01, headers=[("Content-Type", "multipart/mixed")])
    origin.reply(body=orjson.dumps(ONE), headers=[FRESH, JSON])
    async with staged(origin, "api", graphql=True) as stage:
        await post(stage, "{a}")

        assert (await post(stage, "mutation {a}")).body == b"one two"
        assert status(await post(stage, "{a}")) != "llmproxy; hit"


async def test_on_a_route_without_graphql_a_post_ends_its_target() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[FRESH])
    async with staged(origin, "api") as stage:
        await stage.ask("/graphql")
        await post(stage, "{a}")
        await stage.ask("/graphql")

        assert stage.asked == 3


async def test_a_request_that_is_too_long_to_be_read_may_be_a_mutation() -> None:
    async with staged(answering(ONE), "api", graphql=True, max_request="1KiB") as stage:
        await post(stage, "{a}")
        await post(stage, "{a}", variables={"x": "y" * 2000})

        assert status(await post(stage, "{a}")) != "llmproxy; hit"


async def test_nobody_is_told_to_keep_the_answer_to_a_mutation() -> None:
    async with staged(answering(ONE, CHANGED), "api", graphql=True, downstream="max-age=9") as stage:
        query, mutation = await post(stage, "{a}"), await post(stage, "mutation {a}")

        assert query.reply.headers.get("cache-control") == "max-age=9"
        assert mutation.reply.headers.get("cache-control") == FRESH[1]
