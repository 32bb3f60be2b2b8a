"""A provider's own words kept beside a translation, with two toy dialects and a real socket between."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from tests.proxy.toy_dialects import DotsUpstream, ToyClient

from llmproxy.caching.forms import Form
from llmproxy.plugin import NoConfig, Plugin, Registry, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, running_route

ROUTE = {
    "routes": [{"name": "toys", "match": {"path": "/toy/*"}, "upstream": "upstream", "plugins": ["keeper"]}]
}
STREAM = [b"id a-1\n", b"word hello\nwo", b"rd  you\n", b".\n"]


class Dots(DotsUpstream):
    calls = {"generate": "ask"}  # noqa: RUF012  # as a face says it


class Toys(Plugin[NoConfig]):
    @hookimpl
    def register(self, registry: Registry) -> None:
        registry.dialect("toy", client=ToyClient())
        registry.dialect("dots", upstream=Dots())


class Keeper(Plugin[NoConfig]):
    limit = 1000

    @hookimpl
    async def cache_lookup(self, exchange):
        if self.limit:
            self.forms.want_own(exchange, self.limit)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime):
        type(self).forms = runtime.forms
        yield


@pytest.fixture
async def dots():
    async with FakeUpstream() as upstream:
        yield upstream


async def own(upstream, monkeypatch, limit=1000, **body):
    monkeypatch.setattr(Keeper, "limit", limit)
    plugins = {"toys": {"use": Toys}, "keeper": {"use": Keeper}}
    async with running_route(plugins, upstream=upstream, dialect="dots", config=ROUTE) as serving:
        served = await serving.serve(make_exchange(path="/toy/ask", body={"model": "m", "say": "hi", **body}))
        return Keeper.forms.own(served.exchange)


async def test_a_whole_answer_is_kept_as_the_provider_gave_it(dots, monkeypatch):
    dots.reply(json={"answer": "hello", "id": "a"}, headers=[("X-Request-Id", "r-1")])
    form, stored = await own(dots, monkeypatch)

    assert form == Form("dots", "ask")
    assert stored.body == b'{"answer":"hello","id":"a"}'
    assert (b"X-Request-Id", b"r-1") in stored.headers


async def test_a_stream_is_kept_as_the_provider_gave_it(dots, monkeypatch):
    dots.stream(STREAM)
    form, stored = await own(dots, monkeypatch, stream=True)

    assert form == Form("dots", "ask", streamed=True)
    assert stored.body == b"".join(STREAM)


async def test_a_stream_that_broke_off_is_not_kept(dots, monkeypatch):
    dots.stream(STREAM, then="reset", after=50)

    assert await own(dots, monkeypatch, stream=True) is None


async def test_a_stream_that_ended_cleanly_before_its_answer_did_is_not_kept(dots, monkeypatch):
    dots.stream(STREAM[:2])

    assert await own(dots, monkeypatch, stream=True) is None


@pytest.mark.parametrize("limit", [0, 5])
async def test_what_nobody_wants_or_is_too_large_is_not_kept(dots, monkeypatch, limit):
    dots.reply(json={"answer": "hello", "id": "a"})

    assert await own(dots, monkeypatch, limit) is None


async def test_an_error_is_not_kept(dots, monkeypatch):
    dots.reply(status=429, json={"message": "no"})

    assert await own(dots, monkeypatch) is None
