"""Each hook is called when its text says, in the order it says, and its fault means what it says."""

import ast
import inspect
from contextlib import asynccontextmanager

import orjson
import pytest
from structlog.testing import capture_logs

from llmproxy.errors import GatewayError, StartError
from llmproxy.hooks import ASYNC_HOOKS, HOOKS, SYNC_HOOKS, Hooks
from llmproxy.plugin import Event, NoConfig, Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, run_route, running_route

TABLE = {name: spec for name, spec in vars(Hooks).items() if inspect.isfunction(spec)}


def noting(hook, log, does=None, *, policy=None):
    """Make a plugin class with one hook, which notes its plugin's name and its arguments, then does something."""

    async def coroutine(plugin, *args):
        log.append((plugin.name, *args))
        result = does(plugin, *args) if does is not None else None
        return await result if inspect.isawaitable(result) else result

    def plain(plugin, *args):
        log.append((plugin.name, *args))
        return does(plugin, *args) if does is not None else None

    arguments = ", ".join(inspect.signature(TABLE[hook]).parameters)
    body = f"def {hook}({arguments}): return call({arguments})"
    if hook in ASYNC_HOOKS:
        body = f"async def {hook}({arguments}): return await call({arguments})"
    scope = {"call": coroutine if hook in ASYNC_HOOKS else plain}
    exec(body, scope)
    return type("Noting", (Plugin,), {hook: hookimpl(scope[hook]), "on_error": policy})


def listed(**plugins):
    return {name: {"use": plugin} for name, plugin in plugins.items()}


def names(log):
    return [entry[0] for entry in log]


def raising(fault):
    def does(*_):
        raise fault

    return does


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={}) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def logs():
    with capture_logs() as lines:
        yield lines


def test_the_colours_are_those_of_the_specification():
    assert {name for name, spec in TABLE.items() if inspect.iscoroutinefunction(spec)} == ASYNC_HOOKS
    assert set(TABLE) == HOOKS
    assert not ASYNC_HOOKS & SYNC_HOOKS


def test_no_specification_is_ever_run():
    tree = ast.parse(inspect.getsource(Hooks))
    bodies = [
        node.body[1:] for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert all(isinstance(rest, ast.Raise) for body in bodies for rest in body)


async def test_hook_register():
    log = []
    offered = noting("register", log, lambda plugin, registry: registry.public_route(["POST"], "/own", own))

    async def own(exchange):
        return Reply.text("own")

    async with running_route(listed(one=offered, two=noting("register", log))):
        assert names(log) == ["one", "two"]
    with pytest.raises(StartError, match="plugin 'bad': register failed: LookupError: no"):
        await run_route(listed(bad=noting("register", log, raising(LookupError("no")))))


async def test_hook_contribute_config(api):
    fragment = {"upstreams": {"more": {"base_url": api.url, "dialect": "http", "proxy": None}}}
    log = []
    plugin = noting("contribute_config", log, lambda *_: fragment)

    async with running_route(listed(one=plugin, two=noting("contribute_config", log))) as serving:
        assert "more" in serving.generation.config.upstreams
        assert names(log) == ["one", "two"]
    with pytest.raises(StartError, match="plugin 'bad'"):
        await run_route(listed(good=plugin, bad=plugin))


async def test_hook_lifespan():
    log = []

    def living(*, fails=False):
        class Living(Plugin):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, runtime):
                if fails:
                    raise LookupError("no")
                log.append(f"enter {runtime.name}")
                yield
                log.append(f"leave {runtime.name}")

        return Living

    async with running_route(listed(one=living(), two=living())):
        assert log == ["enter one", "enter two"]
    assert log[2:] == ["leave two", "leave one"]

    log.clear()
    with pytest.raises(StartError, match="plugin 'two': lifespan failed: LookupError: no"):
        await run_route(listed(one=living(), two=living(fails=True)))
    assert log == ["enter one", "leave one"]


async def test_hook_pre_route(api):
    log = []
    silent = noting("pre_route", log)
    answering = noting("pre_route", log, lambda *_: Reply.text("early"))
    served = await run_route(listed(one=silent, two=answering, three=silent), upstream=api)

    assert (served.body, served.exchange.outcome.answered_by) == (b"early", "two")
    assert names(log) == ["one", "two"]
    assert not log[0][1].has_body

    closed = await run_route([noting("pre_route", log, raising(LookupError("secret")))], upstream=api)
    opened = await run_route([noting("pre_route", log, raising(LookupError()), policy="open")], upstream=api)

    assert closed.reply.status == 500
    assert b"secret" not in closed.body
    assert opened.reply.status == 200


async def test_hook_cache_lookup(api):
    log = []
    miss = noting("cache_lookup", log)
    hit = noting("cache_lookup", log, lambda *_: Reply.text("stored"))
    served = await run_route(listed(one=miss, two=hit, three=hit), upstream=api)

    assert (served.body, served.exchange.outcome.cache) == (b"stored", "hit")
    assert served.exchange.attempts == []
    assert names(log) == ["one", "two"]

    opened = await run_route([noting("cache_lookup", log, raising(LookupError()))], upstream=api)
    closed = await run_route(
        [noting("cache_lookup", log, raising(LookupError()), policy="closed")], upstream=api
    )

    assert (opened.reply.status, opened.exchange.outcome.cache) == (200, "miss")
    assert closed.reply.status == 500


async def test_hook_around_upstream(api):
    log = []

    async def twice(plugin, exchange, call_next):
        await call_next(exchange)
        reply = await call_next(exchange)
        log.append((f"after {plugin.name}",))
        return reply

    def once(plugin, exchange, call_next):
        return call_next(exchange)

    outer, inner = noting("around_upstream", log, twice), noting("around_upstream", log, once)
    served = await run_route(listed(outer=outer, inner=inner), upstream=api)

    assert names(log) == ["outer", "inner", "inner", "after outer"]
    assert [attempt.number for attempt in served.exchange.attempts] == [1, 2]

    failed = await run_route([noting("around_upstream", log, raising(LookupError()))], upstream=api)

    assert failed.reply.status == 502


async def test_hook_transform_request(api):
    log = []

    def sign(plugin, exchange, request):
        request.headers.set("X-Signed-By", f"{request.headers.get('x-signed-by') or ''}{plugin.name}")

    signing = noting("transform_request", log, sign)
    served = await run_route(listed(a=signing, b=signing), upstream=api)

    assert served.reply.status == 200
    assert api.requests[-1].header("x-signed-by") == "ab"

    count = len(api.requests)
    failed = await run_route([noting("transform_request", log, raising(LookupError()))], upstream=api)

    assert failed.reply.status == 502
    assert len(api.requests) == count


async def test_hook_attempt_done(api):
    log = []
    done = noting("attempt_done", log)
    served = await run_route(listed(one=done, two=done), upstream=api)
    refused = await run_route(listed(three=done))

    assert names(log) == ["one", "two", "three"]
    assert (log[0][2].status, log[0][2].complete) == (served.reply.status, True)
    assert (log[2][2].status, log[2][2].complete) == (None, False)
    assert refused.reply.status == 502

    unharmed = await run_route([noting("attempt_done", log, raising(LookupError()))], upstream=api)

    assert unharmed.reply.status == 200


async def test_hook_cache_store(api):
    log = []
    storing = noting("cache_store", log)
    served = await run_route(listed(one=storing, two=storing), upstream=api)

    assert names(log) == ["two", "one"]
    assert log[0][2].body == served.body

    log.clear()
    await run_route(listed(early=noting("pre_route", [], lambda *_: Reply.text("x")), one=storing))

    assert log == []
    assert (
        await run_route([noting("cache_store", log, raising(LookupError()))], upstream=api)
    ).reply.status == 200


async def test_hook_transform_response(api):
    log = []

    def sign(plugin, exchange, reply):
        reply.headers.add("X-Passed", plugin.name)

    passing = noting("transform_response", log, sign)

    class Early(passing):
        @hookimpl
        async def pre_route(self, exchange):
            return Reply.text("early")

    whole = await run_route(listed(one=passing, two=passing), upstream=api)
    early = await run_route(listed(one=passing, early=Early, below=passing), upstream=api)
    broken = await run_route(listed(one=passing, two=passing))

    assert whole.reply.headers.get_all("x-passed") == ["two", "one"]
    assert early.reply.headers.get_all("x-passed") == ["one"]
    assert broken.reply.headers.get_all("x-passed") == ["two", "one"]

    failed = await run_route([noting("transform_response", log, raising(LookupError()))], upstream=api)

    assert failed.reply.status == 502


class Tagging:
    def __init__(self, tag):
        self.tag = tag

    def feed(self, event):
        return [event.replace(data=event.data + self.tag)]

    def close(self):
        return [Event(b"bye" + self.tag)]


def streaming():
    async def events():
        yield Event(b"a")

    return noting("around_upstream", [], lambda *_: Reply.events(events()))


async def test_hook_transform_stream():
    log = []
    tagging = noting("transform_stream", log, lambda plugin, _: Tagging(plugin.name.encode()))
    served = await run_route(listed(x=tagging, out=noting("transform_stream", log), y=tagging, z=streaming()))

    assert served.body == b"data: ayx\n\ndata: byeyx\n\ndata: byex\n\n"
    assert names(log) == ["y", "out", "x"]

    log.clear()
    whole = await run_route(listed(x=tagging, early=noting("pre_route", [], lambda *_: Reply.text("whole"))))

    assert (whole.body, log) == (b"whole", [])

    class Breaking(Tagging):
        def feed(self, event):
            raise LookupError

    cut = await run_route(listed(x=noting("transform_stream", log, lambda *_: Breaking(b"")), y=streaming()))

    assert isinstance(cut.broken, Exception)
    assert cut.exchange.outcome.result == "cut"


@pytest.mark.parametrize("fault", [None, GatewayError(418, "teapot", "No."), LookupError()])
async def test_hook_post_response(fault, api):
    log = []
    before = noting("pre_route", [], raising(fault) if fault else None)
    after = noting("post_response", log)
    faulty = noting("post_response", log, raising(LookupError()))
    served = await run_route(listed(one=after, two=faulty, before=before), upstream=api)

    assert names(log) == ["two", "one"]
    assert (
        served.exchange.outcome.status
        == served.reply.status
        == {None: 200}.get(fault, getattr(fault, "status", 500))
    )
    assert served.exchange.outcome.ended >= served.exchange.started


async def test_a_refusal_is_shaped_and_is_no_fault(api):
    refusing = noting("pre_route", [], raising(GatewayError(418, "teapot", "No.")), policy="open")
    served = await run_route([refusing], upstream=api)

    assert served.reply.status == 418
    assert orjson.loads(served.body)["code"] == "teapot"


def test_a_plugin_needs_no_hook_at_all():
    assert not any(hasattr(Plugin("idle", NoConfig()), hook) for hook in HOOKS)
