import orjson
import pytest

from llmproxy.plugin import Attempt, Caller, Endpoint, StartError, Usage
from llmproxy.registry import HookTable
from llmproxy.testing import FakeUpstream, make_exchange, make_process, running_route
from llmproxy_calllog import CallLogPlugin
from llmproxy_calllog.config import CallLogConfig
from llmproxy_calllog.database import Reader
from llmproxy_calllog.filtering import Filter

ANSWER = {
    "choices": [{"message": {"content": "to a@b.example"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5},
}
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "card 4111 1111 1111 1111"}]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


@pytest.fixture
async def upstream():
    async with FakeUpstream() as fake:
        yield fake


def read(path):
    reader = Reader(path)
    try:
        return reader.read(Filter(bodies=True))
    finally:
        reader.close()


def plugins(path, **config):
    return {"calllog": {"use": CallLogPlugin, "path": str(path), **config}}


async def call(path, *exchanges, upstream=None, options=None, **config):
    async with running_route(
        plugins(path, **config), upstream=upstream, dialect="openai", options={"calllog": options or {}}
    ) as serving:
        for exchange in exchanges:
            await serving.serve(exchange)
    return read(path)


def asked(tenant="acme", **more):
    return make_exchange(body=ASKED, caller=Caller(tenant, "web"), **more)


def test_the_registry_accepts_its_hooks():
    table = HookTable([CallLogPlugin("calllog", CallLogConfig(to="stdout"))])

    for hook in ("register", "lifespan", "transform_response", "post_response", "attempt_done"):
        assert len(table.methods(hook)) == 1


async def test_a_call_is_a_row(path, upstream):
    upstream.reply(json=ANSWER)
    (row,) = await call(path, asked(), upstream=upstream)

    assert (row["tenant"], row["key"], row["route"], row["status"], row["result"]) == (
        "acme",
        "web",
        "test",
        200,
        "ok",
    )
    assert (row["input"], row["output"], row["tries"]) == (7, 5, 1)
    assert (row["request"], row["answer"]) == (None, None)


async def test_a_refused_call_is_a_row_too(path):
    (row,) = await call(path, make_exchange("GET", "/v1/models"))

    assert (row["tenant"], row["tries"] <= 1, row["status"] >= 400) == ("default", True, True)


async def test_bodies_are_redacted_where_that_is_said(path, upstream):
    upstream.reply(json=ANSWER)
    (row,) = await call(path, asked(), upstream=upstream, bodies="redacted")

    assert orjson.loads(row["request"])["messages"][0]["content"] == "card [card]"
    assert orjson.loads(row["answer"])["choices"][0]["message"]["content"] == "to [mail]"


@pytest.mark.parametrize(
    ("plugin", "route", "tenant", "kept"),
    [
        ("off", "full", None, True),
        ("full", "off", None, False),
        ("full", None, "off", False),
        ("off", None, "full", True),
        ("off", "off", "full", False),
        ("full", None, None, True),
    ],
)
async def test_route_and_tenant_may_say_otherwise_and_the_stricter_holds(
    path, upstream, plugin, route, tenant, kept
):
    upstream.reply(json=ANSWER)
    tenants = {} if tenant is None else {"acme": tenant}
    (row,) = await call(
        path, asked(), upstream=upstream, bodies=plugin, tenants=tenants, options={"bodies": route}
    )

    assert (row["request"] is not None, row["answer"] is not None) == (kept, kept)


async def test_a_tenants_word_is_its_own(path, upstream):
    upstream.reply(json=ANSWER).reply(json=ANSWER)
    rows = await call(path, asked("acme"), asked("shop"), upstream=upstream, tenants={"acme": "full"})

    assert {row["tenant"]: row["request"] is not None for row in rows} == {"acme": True, "shop": False}


async def test_usage_that_comes_after_the_end_is_in_the_row(path, upstream):
    exchange = asked()
    async with running_route(plugins(path)) as serving:
        log = next(each for each in serving.generation.plugins if each.name == "calllog")
        exchange.attempts = [Attempt(1, Endpoint("upstream"), 0.0, status=200)]
        await log.post_response(exchange)
        held = len(log._waiting)
        exchange.attempts[0].ended, exchange.attempts[0].usage = 1.0, Usage(7, output=5)
        log.attempt_done(exchange, exchange.attempts[0])
    (row,) = read(path)

    assert (held, row["input"], row["output"]) == (1, 7, 5)


async def test_a_call_whose_attempt_never_ends_is_written_when_the_generation_leaves(path):
    exchange = asked()
    async with running_route(plugins(path)) as serving:
        log = next(each for each in serving.generation.plugins if each.name == "calllog")
        exchange.attempts = [Attempt(1, Endpoint("upstream"), 0.0, status=200)]
        await log.post_response(exchange)
    (row,) = read(path)

    assert (row["input"], row["cost"]) == (None, None)


async def test_a_file_that_cannot_be_opened_refuses_the_start(tmp_path):
    with pytest.raises(StartError, match=r"plugin 'calllog': .*/none/calls.db' cannot be used"):
        async with running_route(plugins(tmp_path / "none" / "calls.db")):
            pass


async def test_the_writer_outlives_a_generation(path):
    process = make_process()
    async with running_route(plugins(path), process=process) as first:
        await first.serve(make_exchange("GET", "/v1/models"))
        async with running_route(plugins(path), process=process) as second:
            await second.serve(make_exchange("GET", "/v1/models"))
            writers = {
                each._writer
                for serving in (first, second)
                for each in serving.generation.plugins
                if each.name == "calllog"
            }

    assert len(writers) == 1
    assert len(read(path)) == 2
