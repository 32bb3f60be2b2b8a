"""OpenAI's SDK at the paths of other vendors, before providers of every dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest

from .sdks import KEY, PREFIXES, Site, site


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.mark.parametrize("upstream", PREFIXES)
async def test_azures_client_finds_a_model_by_its_deployment(here, upstream):
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=here.url, api_key=KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        got = await client.chat.completions.create(
            model=f"{upstream}/m", messages=[{"role": "user", "content": "Hi"}]
        )

    assert got.choices[0].message.content.strip() == "Hello there, this is an answer."
    assert here.asked.model == "m"


@pytest.mark.parametrize("upstream", PREFIXES)
@pytest.mark.parametrize("prefix", ["/v1beta/openai", "/openai/v1", "/openai", "/api/v1", ""])
async def test_a_base_url_may_end_as_at_other_vendors(here, upstream, prefix):
    async with openai.AsyncOpenAI(base_url=here.url + prefix, api_key=KEY, max_retries=0) as client:
        got = await client.chat.completions.create(
            model=f"{upstream}/m", messages=[{"role": "user", "content": "Hi"}]
        )

    assert got.choices[0].message.content.strip() == "Hello there, this is an answer."
