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
        assert not (folder / "m.ready").exists()
        answers = await asyncio.gather(*(ask(gateway.url) for _ in range(5)))
        assert is_held(folder / "m.alive")
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
