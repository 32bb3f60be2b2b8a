from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import openai
import pytest

from llmproxy.plugin import StartError
from llmproxy.testing import PluginContract, running_gateway
from llmproxy_local import LocalPlugin
from llmproxy_local.places import folder_of, is_held


def config(weights: Path, **model: Any) -> dict[str, Any]:
    local = {"use": LocalPlugin, "models": {"m": {"path": str(weights), **model}}}
    return {"plugins": {"local": local}, "routes": [{"name": "models"}]}


class TestContract(PluginContract):
    plugin_class = LocalPlugin
    config: ClassVar[dict[str, Any]] = {"models": {"m": {"path": __file__}}}

    @pytest.fixture(autouse=True)
    def _installed(self, monkeypatch):
        monkeypatch.setattr("llmproxy_local.plugin.check_server", lambda: None)


async def ask(url: str, **more: Any) -> str | None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        messages: Any = [{"role": "user", "content": more.pop("text", "Hi")}]
        got = await client.chat.completions.create(model="local/m", messages=messages, **more)
        return got.choices[0].message.content


async def test_a_model_is_started_by_its_first_request_and_ended_with_the_gateway(stand_in):
    folder = folder_of(None, "local")
    async with running_gateway(config(stand_in)) as gateway:
        assert not folder.exists()
        answers = await asyncio.gather(*(ask(gateway.url) for _ in range(5)))
        assert is_held(next(folder.glob("m-*.alive")))
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="k") as client:
            listed = [model.id async for model in client.models.list()]

    assert answers == ["Hi"] * 5
    assert listed == ["local/m"]
    assert not folder.exists()


async def test_one_that_cannot_start_answers_in_the_callers_dialect(stand_in):
    stand_in.write_text("fail")
    async with running_gateway(config(stand_in)) as gateway:
        with pytest.raises(openai.InternalServerError, match="could not be started") as refused:
            async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client:
                await client.chat.completions.create(
                    model="local/m", messages=[{"role": "user", "content": "Hi"}]
                )

    assert refused.value.status_code == 503


async def test_what_is_missing_is_told_at_the_start(stand_in, monkeypatch):
    def missing() -> None:
        raise StartError("plugin 'local' needs the extra 'local'")

    with pytest.raises(StartError, match="are not at"):
        async with running_gateway(config(stand_in / "x")):
            pass
    monkeypatch.setattr("llmproxy_local.plugin.check_server", missing)
    with pytest.raises(StartError, match="the extra 'local'"):
        async with running_gateway(config(stand_in)):
            pass


async def test_an_upstream_of_a_model_that_is_not_there_is_refused(stand_in):
    tree = config(stand_in)
    tree["upstreams"] = {"x": {"base_url": "http://localhost", "auth": {"local": {"model": "n"}}}}
    with pytest.raises(StartError, match="has no model 'n'"):
        async with running_gateway(tree):
            pass


async def test_an_upstream_of_ones_own_may_be_a_model_and_stand_in_a_pool(stand_in):
    tree = config(stand_in)
    tree["upstreams"] = {
        "away": {"base_url": "http://127.0.0.1:9/v1"},
        "mine": {"base_url": "http://localhost/v1", "auth": {"local": {"model": "m"}}},
    }
    tree["routes"] = [{"name": "models", "targets": ["away/x", "mine/m"]}]
    async with running_gateway(tree) as gateway:
        assert await ask(gateway.url) == "Hi"


async def test_a_reload_leaves_a_server_that_is_asked_for_still(stand_in):
    def keys() -> list[str]:
        return [file.read_text() for file in folder_of(None, "local").glob("m-*.ready")]

    async with running_gateway(config(stand_in)) as gateway:
        await ask(gateway.url)
        first = keys()
        assert (await gateway.reload({**config(stand_in), "log": {"level": "warning"}})).ok
        await ask(gateway.url)
        assert keys() == first

        assert (await gateway.reload(config(stand_in, context=512))).ok
        await ask(gateway.url)
        assert set(keys()) - set(first)
