"""Recorded embeddings and rankings of Cohere and Voyage, asked for by callers of the other dialect: number by number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from tests.integration.replaying import PRESENT, recordings, replaying

from llmproxy.testing import running_gateway

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

_VOYAGE = {"rerank": "top_k", "extras": ["output_dimension", "input_type"]}


class Site:
    """A gateway before the replay, and who asks it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def post(self, path: str, record: dict[str, Any], **body: Any) -> Any:
        """Ask for a recording by its handle; return what is answered, and that nothing was lost."""
        model = f"{record['provider']}/{record['model']}--{record['id']}"
        async with self._session.post(self._url + path, json={"model": model, **body}) as reply:
            assert reply.status == record["response"]["status"], record["id"]
            assert "x-llmproxy-losses" not in reply.headers, record["id"]
            return orjson.loads(await reply.read())


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with replaying() as replay:
        tree = {
            "upstreams": {
                "cohere": {"base_url": replay, "dialect": "cohere"},
                "voyage": {"base_url": f"{replay}/v1", "dialect": "openai", "quirks": _VOYAGE},
            },
            "routes": [{"name": "models"}],
        }
        async with running_gateway(tree) as gateway, aiohttp.ClientSession() as session:
            yield Site(gateway.url, session)


async def test_openais_callers_get_coheres_vectors(site: Site) -> None:
    for record in recordings("cohere.embed"):
        asked, told = record["request"]["body"], record["response"]["body"]

        got = await site.post(
            "/v1/embeddings", record, input=asked["texts"], dimensions=asked.get("output_dimension")
        )

        if record["response"]["status"] == 200:
            assert [item["embedding"] for item in got["data"]] == told["embeddings"]["float"], record["id"]
            assert got["usage"]["total_tokens"] == told["meta"]["billed_units"]["input_tokens"]


async def test_coheres_callers_get_voyages_vectors(site: Site) -> None:
    for record in recordings("openai.embeddings"):
        if record["provider"] != "voyage":
            continue
        asked, told = record["request"]["body"], record["response"]["body"]
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]

        got = await site.post(
            "/v2/embed", record, texts=texts, input_type="search_query", embedding_types=["base64"]
        )

        if record["response"]["status"] == 200:
            assert got["embeddings"]["base64"] == [item["embedding"] for item in told["data"]], record["id"]
            assert got["meta"]["billed_units"] == {"input_tokens": told["usage"]["total_tokens"]}


@pytest.mark.parametrize(
    ("path", "bound", "key"),
    [("/v1/rerank", "top_n", "results"), ("/v1/rerank", "top_k", "data"), ("/v2/rerank", "top_n", "results")],
)
async def test_rankings_are_told_in_the_callers_form(site: Site, path: str, bound: str, key: str) -> None:
    for record in recordings("rerank"):
        if record["provider"] not in {"cohere", "voyage"}:
            continue
        asked, told = record["request"]["body"], record["response"]["body"]
        most = {bound: asked.get("top_n") or asked.get("top_k")}

        got = await site.post(path, record, query=asked["query"], documents=asked["documents"], **most)

        assert _placed(got[key]) == _placed(told.get("results") or told["data"]), record["id"]


def _placed(items: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(item["index"], item["relevance_score"]) for item in items]
