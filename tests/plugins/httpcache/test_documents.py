from __future__ import annotations

from hashlib import sha256

import orjson
import pytest

from .asking_graphql import answering, get, post, product
from .stage import staged, status

TEXT = "query A { product { __typename id } }"
ONE = {"data": {"product": product(1)}}
UNKNOWN = {"errors": [{"message": "PersistedQueryNotFound"}]}


def _extensions(text: str) -> dict[str, object]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}


async def test_a_persisted_query_is_stored_where_it_comes_by_get() -> None:
    extensions = orjson.dumps(_extensions(TEXT)).decode()
    async with staged(answering(UNKNOWN, ONE), "api", graphql=True) as stage:
        served = [await get(stage, operationName="A", extensions=extensions) for _ in range(3)]

        assert [orjson.loads(each.body) for each in served] == [UNKNOWN, ONE, ONE]
        assert stage.asked == 2


@pytest.mark.parametrize(("text", "hit"), [(TEXT, True), (TEXT.replace("query", "mutation"), False)])
async def test_by_post_it_is_once_its_document_was_told(text: str, hit: bool) -> None:
    extensions = _extensions(text)
    async with staged(answering(UNKNOWN, ONE), "api", graphql=True) as stage:
        assert "fwd=bypass" in status(await post(stage, extensions=extensions))
        await post(stage, text, extensions=extensions)
        served = [await post(stage, extensions=extensions) for _ in range(2)]

        assert (status(served[1]) == "llmproxy; hit") == hit


async def test_a_document_under_anothers_digest_is_not_believed() -> None:
    extensions = _extensions(TEXT.replace("query", "mutation"))
    async with staged(answering(ONE), "api", graphql=True) as stage:
        await post(stage, TEXT, extensions=extensions)
        for _ in range(2):
            assert "fwd=bypass" in status(await post(stage, extensions=extensions))


async def test_what_is_not_known_may_be_a_mutation() -> None:
    async with staged(answering(ONE), "api", graphql=True) as stage:
        await post(stage, TEXT)
        await post(stage, extensions=_extensions("mutation {a}"))

        assert status(await post(stage, TEXT)) != "llmproxy; hit"
