"""A reply on its way up: transforms of whole answers and of streams, the kept copy."""

import asyncio

import pytest
from structlog.testing import capture_logs

from llmproxy.errors import GatewayError
from llmproxy.plugin import Event, Plugin, Reply, hookimpl
from llmproxy.replies import KEEP_LIMIT, Step, Transforms, plugin_failed
from llmproxy.testing import FakeUpstream, make_exchange, run_route, running_route


class Doing:
    """A transform made of two functions."""

    def __init__(self, feed, close=list):
        self.feed = feed
        self.close = close


def breaking(*_):
    raise LookupError("secret inside")


def refusing(*_):
    raise GatewayError(403, "blocked", "This may not be said.")


def steps(*made, open=False):
    return [(Step(lambda _: None, place, f"p{place}", open), each) for place, each in enumerate(made)]


def streaming(transform, **more):
    def transform_stream(self, exchange):
        return transform

    hooks = {"transform_stream": hookimpl(transform_stream)}
    return type("Streaming", (Plugin,), hooks | more)


@pytest.fixture
async def events():
    async with FakeUpstream().stream([b"data: one\n\n", b"data: two\n\n"], delay=0.02) as upstream:
        yield upstream


def test_events_pass_the_transforms_in_order():
    tag = [Doing(lambda event, letter=letter: [Event(event.data + letter)]) for letter in (b"a", b"b")]

    assert Transforms(steps(*tag), breaking).feed(Event(b"x")) == [Event(b"xab")]


def test_what_a_transform_held_passes_those_behind_it():
    holding = Doing(lambda event: [], lambda: [Event(b"held")])
    tagging = Doing(lambda event: [Event(event.data + b"!")], lambda: [Event(b"bye")])
    transforms = Transforms(steps(holding, tagging), breaking)

    assert transforms.feed(Event(b"x")) == []
    assert transforms.close() == [Event(b"held!"), Event(b"bye")]


def test_a_fault_is_told_by_the_plugins_name_and_ends_the_stream():
    told = []
    transforms = Transforms(
        steps(Doing(breaking)), lambda step, hook, fault: told.append((step.plugin, hook))
    )

    with pytest.raises(GatewayError, match="failed to serve"):
        transforms.feed(Event(b"x"))

    assert told == [("p0", "transform_stream")]


def test_a_transform_that_may_fail_open_is_left_out_from_then_on():
    told = []
    transforms = Transforms(
        steps(Doing(breaking, breaking), Doing(lambda event: [event, event]), open=True),
        lambda step, hook, fault: told.append(step.plugin),
    )

    assert transforms.feed(Event(b"x")) == [Event(b"x")] * 2
    assert transforms.feed(Event(b"y")) == [Event(b"y")] * 2
    assert transforms.close() == []
    assert told == ["p0"]


async def test_a_transform_that_raises_mid_stream_cuts_the_stream(events):
    with capture_logs() as logs:
        served = await run_route([streaming(Doing(breaking))], upstream=events)

    assert isinstance(served.broken, GatewayError)
    assert (served.exchange.outcome.result, served.exchange.outcome.error) == ("cut", "plugin_failed")
    assert [(entry["plugin"], entry["hook"]) for entry in logs] == [("streaming", "transform_stream")]


async def test_a_transform_may_refuse_mid_stream(events):
    with capture_logs() as logs:
        served = await run_route([streaming(Doing(refusing))], upstream=events)

    assert served.exchange.outcome.error == "blocked"
    assert logs == []


def factory(self, exchange):
    raise LookupError


@pytest.mark.parametrize(("on_error", "status"), [("closed", 502), ("open", 200)])
async def test_a_factory_that_fails_follows_its_policy(on_error, status, events):
    failing = type("Failing", (Plugin,), {"transform_stream": hookimpl(factory)})
    served = await run_route({"failing": {"use": failing, "on_error": on_error}}, upstream=events)

    assert served.reply.status == status


async def test_a_whole_body_of_events_passes_the_transforms_too():
    async def answer(self, exchange):
        return Reply.text("data: kept\n\n", content_type="text/event-stream")

    transform = Doing(lambda event: [Event(event.data.upper())])
    served = await run_route([streaming(transform, cache_lookup=hookimpl(answer))])

    assert served.body == b"data: KEPT\n\n"


async def test_a_refused_reply_does_not_keep_its_upstream_talking():
    async def refuse(self, exchange, reply):
        if reply.status == 200:
            raise GatewayError(403, "blocked", "Not this.")

    kind = type("Refusing", (Plugin,), {"transform_response": hookimpl(refuse)})
    async with FakeUpstream().stream([b"data: 1\n\n"] * 50, delay=0.1) as upstream:
        served = await run_route([kind], upstream=upstream)
        async with asyncio.timeout(2):
            while upstream.open_connections:
                await asyncio.sleep(0.01)

    assert served.reply.status == 403


class Keeping(Plugin):
    """Write down what was stored."""

    def __init__(self, name, config):
        super().__init__(name, config)
        type(self).stored = []

    @hookimpl
    async def cache_store(self, exchange, reply):
        self.stored.append(reply.body)


async def test_a_stream_is_stored_as_the_upstream_sent_it(events):
    await run_route([Keeping, streaming(Doing(lambda event: []))], upstream=events)

    assert Keeping.stored == [b"data: one\n\ndata: two\n\n"]


async def test_a_cut_stream_is_never_stored():
    async with FakeUpstream().stream([b"data: one\n\n"], then="reset", after=100) as upstream:
        served = await run_route([Keeping], upstream=upstream)

    assert served.broken is not None
    assert Keeping.stored == []


async def test_an_answer_beyond_the_bound_is_not_stored():
    async with FakeUpstream().stream([b"x" * (1 << 20)] * (KEEP_LIMIT >> 20) + [b"x"]) as upstream:
        served = await run_route([Keeping], upstream=upstream)

    assert len(served.body) == KEEP_LIMIT + 1
    assert Keeping.stored == []


async def test_a_hit_is_not_stored_again():
    async def answer(self, exchange):
        return Reply.text("kept")

    kind = type("Hitting", (Keeping,), {"cache_lookup": hookimpl(answer)})
    async with running_route([kind]) as serving:
        served = await serving.serve(make_exchange())

    assert served.body == b"kept"
    assert kind.stored == []


async def test_a_fault_of_a_transform_never_hides_an_error():
    async def fail(self, exchange, reply):
        raise LookupError

    served = await run_route([type("Bad", (Plugin,), {"transform_response": hookimpl(fail)})])

    assert served.json()["code"] == "upstream_unreachable"


def test_a_plugins_fault_tells_nothing_of_its_inside():
    assert plugin_failed(502).message == "The gateway failed to serve this request."


@pytest.mark.parametrize("status", [200, 503])
async def test_only_replies_to_who_asks_pass_a_transform_that_is_for_them(status):
    async def tell(self, exchange, reply):
        reply.headers.set("x-told", "why")

    async def answer(self, exchange, call_next):
        if status != 200:
            raise GatewayError(status, "away", "Nobody is there.")
        return Reply.text("here")

    hooks = {"transform_response": hookimpl(tell), "around_upstream": hookimpl(answer)}
    kind = type("Telling", (Plugin,), {"answers_header": b"x-why", **hooks})
    asked = await run_route([kind], make_exchange("GET", "/", headers={"X-Why": "attempts"}))
    other = await run_route([kind], make_exchange("GET", "/"))

    assert [served.reply.status for served in (asked, other)] == [status] * 2
    assert [served.reply.headers.get("x-told") for served in (asked, other)] == ["why", None]


async def test_a_stream_of_lines_passes_the_transforms_too():
    async def answer(self, exchange):
        return Reply.text('{"a":"b"}\n', content_type="application/x-ndjson")

    transform = Doing(lambda event: [Event(event.data.upper())])
    served = await run_route([streaming(transform, cache_lookup=hookimpl(answer))])

    assert served.body == b'{"A":"B"}\n'
