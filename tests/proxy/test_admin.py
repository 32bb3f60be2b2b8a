import asyncio
import base64
import contextlib
import socket
from types import SimpleNamespace

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy import admin
from llmproxy.admin import AdminServer
from llmproxy.bus import Bus
from llmproxy.config import Admin, Config, UpstreamConfig
from llmproxy.errors import GatewayError, StartError
from llmproxy.hooks import hookimpl
from llmproxy.messages import Reply
from llmproxy.metrics import Metrics
from llmproxy.orders import ReloadResult
from llmproxy.references import Secret
from llmproxy.registry import NoConfig, Plugin, Registrations, Registry
from llmproxy.runtime import Process
from llmproxy.sse import Event

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Stamp(Plugin):
    @hookimpl
    async def post_response(self, exchange):
        pass

    @hookimpl
    async def pre_route(self, exchange):
        return None


def view(token=TOKEN, register=lambda registry: None, **config):
    registered = Registrations()
    register(Registry("stamp", registered))
    admin = Admin(token=Secret(token, "${env:ADMIN}") if token else None)
    return SimpleNamespace(
        config=Config(admin=admin, **config),
        plugins=[Stamp("stamp", NoConfig())],
        admin_routes=registered.admin_routes,
    )


class Caller:
    """A client of one admin server."""

    def __init__(self, session, server, port):
        self._session = session
        self.server = server
        self.port = port

    def serve(self, **kwargs):
        self.server.swap(view(**kwargs))

    async def __call__(self, method, path, **kwargs):
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self._session.request(method, url, **kwargs) as reply:
            body = await reply.read()
            return SimpleNamespace(status=reply.status, headers=reply.headers, body=body, json=reply.json)


@contextlib.asynccontextmanager
async def served(process):
    server = AdminServer(process)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start(sock)
    try:
        async with aiohttp.ClientSession() as session:
            yield Caller(session, server, sock.getsockname()[1])
    finally:
        await server.close()
        sock.close()


@pytest.fixture
async def process():
    return Process(metrics=Metrics(), bus=Bus(None, 0))


@pytest.fixture
async def ask(process):
    async with served(process) as caller:
        yield caller


async def test_health_needs_no_token_and_no_generation_to_be_alive(ask):
    alive, ready = await ask("GET", "/livez"), await ask("GET", "/readyz")

    assert (alive.status, alive.body) == (200, b"ok\n")
    assert ready.status == 503


async def test_ready_means_a_generation_serves_and_nothing_drains(ask):
    ask.serve()
    before = await ask("GET", "/readyz")
    ask.server.draining = True
    after = await ask("GET", "/readyz")

    assert (before.status, after.status) == (200, 503)
    assert (await ask("GET", "/livez")).status == 200


async def test_metrics_are_prometheus_text(ask, process):
    process.metrics.counter("a_total", "A.").labels().inc(3)
    reply = await ask("GET", "/metrics")
    found = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}

    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found["a"].samples[0].value == 3
    assert found["llmproxy_workers"].samples[0].value == 1


async def test_metrics_are_summed_over_the_workers_on_the_bus(process, tmp_path):
    mine = Bus(tmp_path, 0)
    process.bus = mine
    other = Process(metrics=Metrics(), bus=Bus(tmp_path, 1), slot=1)
    for each in (process, other):
        each.metrics.counter("a_total", "A.").labels().inc(2)
        await each.bus.start()
    async with served(other), served(process) as ask:
        reply = await ask("GET", "/metrics")
    for each in (process, other):
        await each.bus.close()

    assert b"\na_total 4\n" in reply.body
    assert b"\nllmproxy_workers 2\n" in reply.body


@pytest.mark.parametrize("path", ["/", "/config", "/plugins"])
async def test_what_tells_of_the_inside_needs_the_token(ask, path):
    ask.serve()
    without = await ask("GET", path)
    wrong = await ask("GET", path, headers={"Authorization": "Bearer " + TOKEN[:-1]})
    right = await ask("GET", path, headers=BEARER)

    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert without.headers["WWW-Authenticate"].startswith("Bearer ")
    assert without.headers["Content-Type"] == "application/problem+json"
    assert (await without.json())["code"] == "no_token"


async def test_without_a_configured_token_the_answer_says_how_to_set_one(ask):
    ask.serve(token=None)
    reply = await ask("GET", "/config", headers=BEARER)

    assert reply.status == 403
    assert "admin" in (await reply.json())["detail"]
    assert "${env:ADMIN_TOKEN}" in (await reply.json())["detail"]


async def test_the_token_is_compared_in_constant_time_whatever_is_given(ask, monkeypatch):
    compared = []
    monkeypatch.setattr(admin, "compare_digest", lambda *pair: compared.append(pair))
    ask.serve()
    for given in (TOKEN, "x", "x" * 5000):
        await ask("GET", "/config", headers={"Authorization": f"Bearer {given}"})

    assert {len(digest) for pair in compared for digest in pair} == {32}
    assert len(compared) == 3


def test_a_weak_token_is_refused_before_it_serves(process):
    with pytest.raises(StartError, match=r"admin.token: '\$\{env:ADMIN\}' should have 16") as caught:
        AdminServer(process).check(view(token="short"))
    assert "short" not in str(caught.value)


async def test_a_browser_may_read_with_the_token_as_its_password_and_change_nothing(ask):
    ask.serve()
    basic = {"Authorization": "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()}
    broken = await ask("GET", "/plugins", headers={"Authorization": "Basic a"})

    assert (await ask("GET", "/plugins", headers=basic)).status == 200
    assert (await ask("POST", "/reload", headers=basic)).status == 401
    assert broken.status == 401


async def test_the_configuration_shows_references_only(ask):
    upstream = UpstreamConfig(
        base_url="https://api.example.com/v1",
        api_key=(Secret("the-key-itself", "${env:KEY}"),),
        headers={"Authorization": "Bearer written-out"},
    )
    ask.serve(upstreams={"main": upstream})
    reply = await ask("GET", "/config", headers=BEARER)
    shown = (await reply.json())["upstreams"]["main"]

    assert shown["api_key"] == ["${env:KEY}"]
    assert b"the-key-itself" not in reply.body
    assert b"written-out" not in reply.body
    assert TOKEN.encode() not in reply.body


async def test_the_plugins_are_listed_with_their_hooks(ask):
    ask.serve()
    reply = await ask("GET", "/plugins", headers=BEARER)
    (plugin,) = await reply.json()

    assert plugin["name"] == "stamp"
    assert plugin["class"].endswith(":Stamp")
    assert plugin["hooks"] == ["pre_route", "post_response"]


async def test_the_front_page_lists_the_pages(ask):
    ask.serve(register=lambda registry: registry.page("/cache", "Cache & keys", hello))
    reply = await ask("GET", "/", headers=BEARER)

    assert b'<a href="/cache">Cache &amp; keys</a>' in reply.body
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"


async def hello(request):
    name = request.params.get("name", "you")
    return Reply.json({"hello": name, "body": request.body.decode(), "query": request.request.query})


async def test_a_plugins_route_gets_its_parameters_query_and_body(ask):
    ask.serve(register=lambda registry: registry.admin_route("PUT", "/keys/{name}", hello, permission="keys"))
    reply = await ask("PUT", "/keys/a%20b?x=1", headers=BEARER, data=b"new")

    assert await reply.json() == {"hello": "a b", "body": "new", "query": "x=1"}


async def test_a_plugins_route_does_not_get_the_token(ask):
    seen = []

    async def look(request):
        seen.extend(name for name, _ in request.request.headers)
        return Reply(204)

    ask.serve(register=lambda registry: registry.admin_route("GET", "/look", look, permission="read"))
    reply = await ask("GET", "/look", headers={**BEARER, "X-Mine": "1"})

    assert reply.status == 204
    assert "X-Mine" in seen
    assert "Authorization" not in seen


async def test_a_plugins_stream_is_passed_on_as_it_comes(ask):
    async def events():
        for number in range(3):
            yield Event(data=str(number).encode())
            await asyncio.sleep(0)

    async def stream(request):
        return Reply.events(events())

    ask.serve(register=lambda registry: registry.admin_route("GET", "/live", stream, permission="read"))
    reply = await ask("GET", "/live", headers=BEARER)

    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.body.count(b"data: ") == 3


async def test_routes_change_with_the_generation_on_the_same_socket(ask):
    ask.serve(register=lambda registry: registry.admin_route("GET", "/old", hello, permission="read"))
    before = await ask("GET", "/old", headers=BEARER)
    ask.serve(register=lambda registry: registry.admin_route("GET", "/new", hello, permission="read"))

    assert before.status == 200
    assert (await ask("GET", "/old", headers=BEARER)).status == 404
    assert (await ask("GET", "/new", headers=BEARER)).status == 200


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (
            lambda registry: registry.admin_route("GET", "/metrics", hello, permission="read"),
            "plugin 'stamp': admin route 'GET /metrics' is taken already",
        ),
        (
            lambda registry: [registry.page("/a", "A", hello) for _ in range(2)],
            "plugin 'stamp': admin route 'GET /a' is taken already",
        ),
        (
            lambda registry: registry.admin_route("GET", "no-slash", hello, permission="read"),
            "plugin 'stamp': admin route 'no-slash': ",
        ),
        (
            lambda registry: registry.admin_route("get", "/a", hello, permission="read"),
            "plugin 'stamp': admin route '/a': ",
        ),
        (
            lambda registry: registry.admin_route("GET", "/a", hello, permission=""),
            "plugin 'stamp': admin route '/a' should name a permission",
        ),
    ],
)
def test_a_bad_route_refuses_the_generation(process, register, message):
    with pytest.raises(StartError) as caught:
        AdminServer(process).check(view(register=register))
    assert message in str(caught.value)


async def test_a_reload_says_what_serves_now(ask, process):
    async def reload():
        return ReloadResult(ok=True, generation=7, notes=("listen needs a restart",))

    process.reload = reload
    ask.serve()
    reply = await ask("POST", "/reload", headers=BEARER)

    assert reply.status == 200
    assert await reply.json() == {"reloaded": True, "generation": 7, "notes": ["listen needs a restart"]}


async def test_a_refused_reload_says_why(ask, process):
    async def reload():
        return ReloadResult(ok=False, generation=1, reason="routes: missing")

    process.reload = reload
    ask.serve()
    reply = await ask("POST", "/reload", headers=BEARER)

    assert reply.status == 422
    assert (await reply.json())["detail"] == "routes: missing"


async def test_without_a_configuration_source_there_is_no_reload(ask):
    ask.serve()
    reply = await ask("POST", "/reload", headers=BEARER)

    assert (reply.status, (await reply.json())["code"]) == (503, "no_source")


async def test_another_method_is_told_which_ones_there_are(ask):
    ask.serve()
    reply = await ask("GET", "/reload", headers=BEARER)

    assert reply.status == 405
    assert reply.headers["Allow"] == "POST"


async def test_head_answers_like_get_without_a_body(ask):
    reply = await ask("HEAD", "/livez")

    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "3")


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/config", "/"])
async def test_every_answer_is_guarded(ask, path):
    ask.serve()
    reply = await ask("GET", path, headers=BEARER)

    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "default-src 'self'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Frame-Options"] == "DENY"


async def test_a_page_may_send_its_own_policy(ask):
    async def page(request):
        return Reply(200, Reply.json({}, headers={"Content-Security-Policy": "default-src 'none'"}).headers)

    ask.serve(register=lambda registry: registry.page("/page", "Page", page))
    reply = await ask("GET", "/page", headers=BEARER)

    assert reply.headers.getall("Content-Security-Policy") == ["default-src 'none'"]


async def test_a_handlers_own_error_keeps_its_status(ask):
    async def refuse(request):
        raise GatewayError(409, "taken", "The name 'a' is taken.")

    ask.serve(register=lambda registry: registry.admin_route("POST", "/a", refuse, permission="x"))
    reply = await ask("POST", "/a", headers=BEARER)

    assert reply.status == 409
    assert (await reply.json())["code"] == "taken"


async def test_a_handlers_fault_is_told_without_its_text(ask, capsys):
    async def fail(request):
        raise RuntimeError("inside knowledge")

    ask.serve(register=lambda registry: registry.admin_route("POST", "/a", fail, permission="x"))
    reply = await ask("POST", "/a", headers=BEARER)

    assert reply.status == 500
    assert b"inside knowledge" not in reply.body
    assert "admin_failed" in capsys.readouterr().out


async def test_a_body_past_the_bound_is_refused(ask, monkeypatch):
    monkeypatch.setattr("llmproxy.adminwire.MAX_BODY", 10)
    ask.serve(register=lambda registry: registry.admin_route("POST", "/a", hello, permission="x"))
    reply = await ask("POST", "/a", headers=BEARER, data=b"x" * 11)

    assert (reply.status, (await reply.json())["code"]) == (413, "body_too_large")


async def test_a_path_with_dot_segments_is_refused(ask):
    answer = await raw(ask.port, b"GET /a/../config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad_path" in answer


async def test_a_malformed_request_is_not_repeated_to_anybody(ask, caplog):
    answer = await raw(ask.port, b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer sekret\r\n\r\n")

    assert b" 400 Bad Request\r\n" in answer
    assert b"sekret" not in answer
    assert "sekret" not in caplog.text


async def raw(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_stream_that_breaks_is_cut_not_ended(ask):
    async def events():
        yield Event(data=b"one")
        raise RuntimeError("broke")

    async def stream(request):
        return Reply.events(events())

    ask.serve(register=lambda registry: registry.admin_route("GET", "/live", stream, permission="read"))

    with pytest.raises(aiohttp.ClientPayloadError):
        await ask("GET", "/live", headers=BEARER)


async def test_a_purge_needs_the_token_and_a_cache(ask):
    ask.serve()
    closed = await ask("POST", "/cache/purge", data=b'{"all": true}')
    wrong = await ask("POST", "/cache/purge", data=b"{}", headers=BEARER)
    nowhere = await ask("POST", "/cache/purge", data=b'{"all": true}', headers=BEARER)
    odd = await ask("POST", "/cache/purge", data=b'{"type": "mood", "selectors": []}', headers=BEARER)

    assert [each.status for each in (closed, wrong, nowhere, odd)] == [401, 400, 404, 501]
    assert "No store is used as a cache" in (await nowhere.json())["detail"]
