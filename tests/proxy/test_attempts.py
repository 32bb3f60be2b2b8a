"""One attempt: sent, read as it passes, settled exactly once."""

import asyncio

import pytest

from llmproxy.errors import UpstreamError, UpstreamTimeout
from llmproxy.plugin import GatewayError, Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, run_route, running_route


class Watching(Plugin):
    """Write down every attempt that ends."""

    def __init__(self, name, config):
        super().__init__(name, config)
        type(self).done = []

    @hookimpl
    def attempt_done(self, exchange, attempt):
        self.done.append(attempt)


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


async def test_a_whole_answer_settles_its_attempt(api):
    api.reply(201, json={})
    await run_route([Watching], upstream=api)

    (attempt,) = Watching.done
    assert (attempt.number, attempt.status, attempt.complete, attempt.error) == (1, 201, True, None)
    assert attempt.started <= attempt.headers_at <= attempt.ended


async def test_a_stream_settles_its_attempt_at_its_end(api):
    api.stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.02)
    await run_route([Watching], upstream=api)

    (attempt,) = Watching.done
    assert attempt.complete
    assert attempt.ended > attempt.headers_at


async def test_a_stream_that_breaks_off_settles_its_attempt_with_the_error(api):
    api.stream([b"data: 1\n\n"], then="reset", after=100)
    served = await run_route([Watching], upstream=api)

    (attempt,) = Watching.done
    assert not attempt.complete
    assert isinstance(attempt.error, UpstreamError)
    assert served.exchange.outcome.result == "cut"


async def test_an_upstream_that_cannot_be_reached_settles_it_too():
    served = await run_route([Watching])

    assert isinstance(Watching.done[0].error, UpstreamError)
    assert served.exchange.outcome.result == "upstream_error"


async def test_a_cancelled_attempt_is_settled_once(api):
    api.stall()
    async with running_route([Watching], upstream=api) as serving:
        task = asyncio.ensure_future(serving.serve(make_exchange()))
        await api.received()
        task.cancel()
        await asyncio.wait([task])

    (attempt,) = Watching.done
    assert isinstance(attempt.error, asyncio.CancelledError)


async def test_a_timeout_is_told_by_its_name(api):
    api.stall()
    config = {
        "routes": [
            {"name": "r", "upstream": "upstream", "plugins": ["watching"], "timeouts": {"headers": "50ms"}}
        ]
    }
    served = await run_route([Watching], upstream=api, config=config)

    assert isinstance(Watching.done[0].error, UpstreamTimeout)
    assert (served.reply.status, served.json()["code"]) == (504, "upstream_timeout")


async def test_all_attempts_share_one_deadline(api):
    class Twice(Plugin):
        @hookimpl
        async def around_upstream(self, exchange, call_next):
            await call_next(exchange)
            self.deadlines = [exchange.deadline]
            reply = await call_next(exchange)
            reply.headers.set("X-Same", str(self.deadlines == [exchange.deadline]))
            return reply

    api.reply(json={})
    served = await run_route([Twice], upstream=api)

    assert served.reply.headers.get("x-same") == "True"


async def test_a_hook_may_refuse_an_attempt_before_it_is_sent(api):
    class Refusing(Watching):
        @hookimpl
        async def transform_request(self, exchange, request):
            raise GatewayError(403, "unsigned", "No signature.")

    served = await run_route([Refusing], upstream=api)

    assert (served.reply.status, len(Refusing.done), api.requests) == (403, 1, [])


async def test_a_fault_of_attempt_done_reaches_nobody(api):
    class Failing(Watching):
        @hookimpl
        def attempt_done(self, exchange, attempt):
            raise LookupError

    api.reply(json={})

    assert (await run_route([Failing], upstream=api)).reply.status == 200


async def test_a_plugins_own_route_makes_no_attempt():
    class Serving(Watching):
        @hookimpl
        def register(self, registry):
            registry.public_route(["GET"], "/own", self.serve)

        async def serve(self, exchange):
            return Reply.text("own")

    served = await run_route([Serving], make_exchange("GET", "/own"))

    assert (served.body, Serving.done) == (b"own", [])


async def test_what_a_face_raises_over_a_reply_settles_the_attempt_and_frees_the_upstream(api, monkeypatch):
    from llmproxy.http_api import HttpApi

    def tap(self, exchange, reply):
        raise LookupError

    monkeypatch.setattr(HttpApi, "tap", tap)
    api.stream([b"data: 1\n\n"] * 50, delay=0.1)
    served = await run_route([Watching], upstream=api)
    async with asyncio.timeout(2):
        while api.open_connections:
            await asyncio.sleep(0.01)

    assert served.reply.status == 500
    assert len(Watching.done) == 1


class Insisting(Plugin):
    """Ask for attempts until the core refuses one."""

    @hookimpl
    async def around_upstream(self, exchange, call_next):
        while True:
            await call_next(exchange)


async def test_no_plugin_makes_more_attempts_than_a_request_may(api):
    for _ in range(5):
        api.reply(503, json={})
    served = await run_route([Insisting], upstream=api)

    assert len(api.requests) == len(served.exchange.attempts) == served.exchange.route.most_attempts == 3
    assert served.exchange.outcome.error == "attempts_spent"


async def test_no_attempt_begins_after_the_deadline(api):
    exchange = make_exchange()
    exchange.deadline = 0.001
    served = await run_route([Watching], upstream=api, exchange=exchange)

    assert served.reply.status == 504
    assert served.exchange.outcome.error == "deadline_exceeded"
    assert api.requests == []
