"""Exchanges by hand, served by real pipelines."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from llmproxy.errors import StartError
from llmproxy.plugin import (
    Caller,
    Endpoint,
    Event,
    EventTransform,
    Exchange,
    NoConfig,
    Plugin,
    Reply,
    StoredReply,
    hookimpl,
)
from llmproxy.testing import FakeUpstream, make_exchange, run_route, running_route


class StampConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = "stamped"


class StampOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suffix: str = ""


class StampPlugin(Plugin[StampConfig]):
    """Stamp replies."""

    Config = StampConfig
    RouteConfig = StampOptions

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        reply.headers.set("x-stamp", self.config.text + exchange.options(self).suffix)


class KeepPlugin(Plugin[NoConfig]):
    """Keep one reply."""

    def __init__(self, name: str, config: NoConfig) -> None:
        super().__init__(name, config)
        self.kept: StoredReply | None = None

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        return self.kept.replay() if self.kept else None

    @hookimpl
    async def cache_store(self, exchange: Exchange, reply: StoredReply) -> None:
        self.kept = reply


class LoudPlugin(Plugin[NoConfig]):
    """Shout every event."""

    @hookimpl
    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        return Shout()


class Shout:
    def feed(self, event: Event) -> Iterable[Event]:
        return [Event(event.data.upper())]

    def close(self) -> Iterable[Event]:
        return []


async def test_an_exchange_has_what_it_was_made_with() -> None:
    exchange = make_exchange(
        "PUT", "/things/7?x=1", body={"a": 1}, params={"id": "7"}, caller=Caller("shop"), model="fast"
    )

    assert (exchange.request.method, exchange.request.path, exchange.request.query) == (
        "PUT",
        "/things/7",
        "x=1",
    )
    assert (exchange.params, exchange.caller.tenant, exchange.model) == ({"id": "7"}, "shop", "fast")
    assert not exchange.has_body
    assert await exchange.body() == b'{"a":1}'
    assert exchange.request.headers.get("content-type") == "application/json"


def test_an_exchange_stands_at_its_first_endpoint() -> None:
    exchange = make_exchange(endpoints=[Endpoint("main", "m1"), Endpoint("spare")])

    assert exchange.endpoint == Endpoint("main", "m1")


def test_an_exchange_carries_a_plugins_route_options() -> None:
    plugin = StampPlugin("stamp", StampConfig())
    exchange = make_exchange(options={"stamp": StampOptions("!")})

    assert exchange.options(plugin).suffix == "!"


async def test_a_route_serves_an_exchange_through_its_plugins() -> None:
    async with FakeUpstream().reply(json={"a": 1}) as upstream:
        served = await run_route([StampPlugin], make_exchange("GET", "/x"), upstream=upstream)

    assert served.json() == {"a": 1}
    assert served.reply.headers.get("x-stamp") == "stamped"
    assert [attempt.status for attempt in served.exchange.attempts] == [200]
    assert served.exchange.outcome.result == "ok"


async def test_plugins_take_configuration_and_options() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        served = await run_route(
            {"mark": {"use": StampPlugin, "text": "hi"}}, upstream=upstream, options={"mark": {"suffix": "!"}}
        )

    assert served.reply.headers.get("x-stamp") == "hi!"


async def test_a_second_exchange_meets_what_the_first_left() -> None:
    async with (
        FakeUpstream().reply(json={"n": 1}).reply(json={"n": 2}) as upstream,
        running_route([KeepPlugin], upstream=upstream) as serving,
    ):
        first = await serving.serve(make_exchange())
        second = await serving.serve(make_exchange())

    assert first.body == second.body == b'{"n":1}'
    assert (first.exchange.outcome.result, second.exchange.outcome.result) == ("ok", "hit")


async def test_a_stream_passes_transforms() -> None:
    async with FakeUpstream().stream([b"data: ab\n\n", b"data: cd\n\n"]) as upstream:
        served = await run_route([LoudPlugin], upstream=upstream)

    assert served.body == b"data: AB\n\ndata: CD\n\n"


async def test_a_stream_that_breaks_off_is_told() -> None:
    async with FakeUpstream().stream([b"data: ab\n\n"] * 2, then="reset", after=120) as upstream:
        served = await run_route([], upstream=upstream)

    assert served.broken is not None
    assert served.exchange.outcome.result == "cut"


async def test_without_an_upstream_only_plugins_answer() -> None:
    served = await run_route([StampPlugin])

    assert served.reply.status == 502
    assert served.exchange.outcome.error == "upstream_unreachable"


async def test_a_bad_configuration_is_refused_as_at_start() -> None:
    with pytest.raises(StartError, match=r"plugins\.stamp\.txt"):
        await run_route({"stamp": {"use": StampPlugin, "txt": "hi"}})


async def test_a_path_that_no_route_takes_is_the_tests_mistake() -> None:
    routes = {"routes": [{"name": "one", "match": {"path": "/one"}, "upstream": "upstream"}]}
    with pytest.raises(LookupError, match="no route takes POST /two"):
        await run_route([], make_exchange(path="/two"), config=routes)
