"""WebSockets through the gateway: messages both ways, refusals, closes."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web
from tests.webserver import served

from llmproxy.plugin import Event, GatewayError, Plugin, PoolMember, Reply, hookimpl
from llmproxy.testing import running_gateway


class Sockets(Plugin):
    """Refuse, shout or break as the query says; keep what happened."""

    @hookimpl
    def register(self, registry):
        registry.authorizer("passes", lambda config, options: Passes())

    @hookimpl
    async def pre_route(self, exchange):
        if exchange.request.query == "refused":
            raise GatewayError(403, "no_entry", "Not you.")
        return Reply.text("early", 299) if exchange.request.query == "early" else None

    @hookimpl
    async def transform_request(self, exchange, request):
        request.headers.set("X-Signed", "yes")

    @hookimpl
    def transform_stream(self, exchange):
        return {"shout": Shouting(), "break": Breaking()}.get(exchange.request.query)

    @hookimpl
    def attempt_done(self, exchange, attempt):
        self.seen().append("attempt")

    @hookimpl
    async def post_response(self, exchange):
        self.seen().append("post")
        type(self).outcome = exchange.outcome

    @classmethod
    def seen(cls):
        return cls.__dict__["calls"]


class Passes:
    async def authorize(self, url, request):
        request.headers.set("Authorization", f"Pass {request.target}")


class Shouting:
    def feed(self, event):
        return [Event(event.data.upper() + b" " + event.event, event=event.event)]

    def close(self):
        return []


class Breaking:
    def feed(self, event):
        raise LookupError

    def close(self):
        return []


class Far:
    """The upstream: echoes, refuses or closes as told; keeps how its sockets ended."""

    def __init__(self):
        self.closed = asyncio.Queue()
        self.headers = {}
        self.paths = []

    async def serve(self, request):
        self.headers = request.headers
        self.paths.append(request.path)
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if request.path == "/busy":
            return web.Response(status=503, text="busy")
        socket = web.WebSocketResponse(protocols=["chat"], autoclose=True)
        await socket.prepare(request)
        if request.path == "/leaves":
            await socket.close(code=4001)
        if request.path == "/dies":
            request.transport.abort()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        self.closed.put_nowait(socket.close_code)
        return socket


@asynccontextmanager
async def serving(tls=None):
    upstream = Far()
    async with served(upstream.serve, tls=tls) as upstream.url:
        yield upstream


@pytest.fixture
async def far():
    async with serving() as upstream:
        yield upstream


@asynccontextmanager
async def gateway_to(url, upstream=None, **route):
    Sockets.calls = []
    config = {
        "server": {"drain_pause": "10ms"},
        "plugins": {"sockets": {"use": Sockets}},
        "pipeline": ["sockets"],
        "upstreams": {"api": {"base_url": url, "dialect": "http", "proxy": None, **(upstream or {})}},
        "routes": [{"name": "all", "upstream": "api", **route}],
    }
    async with running_gateway(config) as gateway, ClientSession() as session:
        yield gateway, session


async def settled():
    async with asyncio.timeout(3):
        while "post" not in Sockets.calls:
            await asyncio.sleep(0.01)


async def test_texts_and_bytes_pass_both_ways(far):
    async with gateway_to(far.url) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/x", headers={"X-Own": "kept"}) as socket:
            await socket.send_str("grüße")
            text = await socket.receive_str()
            await socket.send_bytes(b"\x00\xff" * 40_000)
            data = await socket.receive_bytes()
        await settled()
        code = await far.closed.get()

    assert (text, data) == ("grüße", b"\x00\xff" * 40_000)
    assert (far.headers["X-Own"], far.headers["X-Signed"]) == ("kept", "yes")
    assert code == 1000
    assert Sockets.calls == ["attempt", "post"]
    assert (Sockets.outcome.status, Sockets.outcome.result) == (101, "ok")
    assert Sockets.outcome.bytes_in == Sockets.outcome.bytes_out == 80_007


class Listing(Plugin):
    lists_members = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime):
        runtime.members.set([PoolMember("127.0.0.1", type(self).port)])
        yield


async def test_a_discovered_member_is_reached_at_its_own_address(far):
    listing = type("Listing", (Listing,), {"port": int(far.url.rpartition(":")[2])})
    config = {
        "plugins": {"listing": {"use": listing}},
        "upstreams": {"api": {"base_url": "http://backend.test/base", "dialect": "http"}},
        "routes": [{"name": "all", "targets": [{"upstream": "api", "members": "listing"}]}],
    }
    async with (
        running_gateway(config) as gateway,
        ClientSession() as session,
        session.ws_connect(f"{gateway.url}/x") as socket,
    ):
        await socket.send_str("hello")
        answer = await socket.receive_str()

    assert answer == "hello"
    assert (far.paths, far.headers["Host"]) == (["/base/x"], "backend.test")


async def test_the_subprotocol_is_the_upstreams_choice(far):
    async with gateway_to(far.url) as (gateway, session):
        socket = await session.ws_connect(f"{gateway.url}/x", protocols=["other", "chat"])
        await socket.close()

    assert socket.protocol == "chat"


async def test_transforms_see_messages_with_their_direction(far):
    async with (
        gateway_to(far.url) as (gateway, session),
        session.ws_connect(f"{gateway.url}/x?shout") as socket,
    ):
        await socket.send_str("hello")
        answer = await socket.receive_str()

    assert answer == "HELLO UP down"


@pytest.mark.parametrize(("target", "status"), [("/x?refused", 403), ("/x?early", 299), ("/busy", 503)])
async def test_a_refusal_is_an_ordinary_reply(target, status, far):
    async with gateway_to(far.url) as (gateway, session):
        with pytest.raises(WSServerHandshakeError) as refusal:
            await session.ws_connect(gateway.url + target)
        await settled()

    assert refusal.value.status == status
    assert Sockets.calls == (["attempt", "post"] if target == "/busy" else ["post"])


async def test_a_redirect_is_not_followed_with_the_upstreams_credentials(far):
    async with gateway_to(far.url) as (gateway, session):
        with pytest.raises(WSServerHandshakeError) as refusal:
            await session.ws_connect(f"{gateway.url}/moved")
        await settled()

    assert refusal.value.status == 502
    assert far.paths == ["/moved"]


async def test_the_upstreams_certificate_is_checked_for_the_name_that_is_configured(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example").configure_cert(context)
    tls = {"ca": str(tmp_path / "ca.pem"), "server_name": "api.example"}
    async with (
        serving(context) as far,
        gateway_to(far.url, {"tls": tls}) as (gateway, session),
        session.ws_connect(f"{gateway.url}/x") as socket,
    ):
        await socket.send_str("hello")

        assert await socket.receive_str() == "hello"


async def test_an_upstream_that_is_not_there_is_told():
    async with gateway_to("http://127.0.0.1:9") as (gateway, session):
        with pytest.raises(WSServerHandshakeError) as refusal:
            await session.ws_connect(gateway.url)
        await settled()

    assert refusal.value.status == 502
    assert Sockets.calls == ["attempt", "post"]


async def test_the_upstreams_close_reaches_the_caller(far):
    async with gateway_to(far.url) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/leaves") as socket:
            message = await socket.receive()
        await settled()

    assert (message.type, message.data) == (WSMsgType.CLOSE, 4001)
    assert Sockets.outcome.result == "ok"


async def test_an_upstream_that_dies_is_no_clean_end(far):
    async with gateway_to(far.url) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/dies") as socket:
            message = await socket.receive()
        await settled()

    assert message.data == 1011
    assert Sockets.outcome.result == "cut"


async def test_a_caller_that_vanishes_closes_the_upstream(far):
    async with gateway_to(far.url) as (gateway, session):
        socket = await session.ws_connect(f"{gateway.url}/x")
        await socket.send_str("hello")
        await socket.receive_str()
        socket.get_extra_info("socket").shutdown(2)
        async with asyncio.timeout(3):
            await far.closed.get()
        await settled()

    assert (Sockets.outcome.result, Sockets.outcome.client_gone) == ("client_gone", True)
    assert Sockets.calls == ["attempt", "post"]


async def test_silence_ends_with_a_service_restart(far):
    async with gateway_to(far.url, timeouts={"idle": "100ms"}) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/x") as socket:
            message = await socket.receive()
        code = await far.closed.get()

    assert (message.data, code) == (1012, 1012)


async def test_draining_ends_with_a_service_restart(far):
    async with gateway_to(far.url) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/x") as socket:
            draining = asyncio.ensure_future(gateway._serving.drain(5, handover=True))
            message = await socket.receive()
        await draining
        code = await far.closed.get()

    assert (message.data, code) == (1012, 1012)
    assert Sockets.calls == ["attempt", "post"]


async def test_a_transform_that_fails_ends_it_as_an_error(far):
    async with gateway_to(far.url) as (gateway, session):
        async with session.ws_connect(f"{gateway.url}/x?break") as socket:
            await socket.send_str("hello")
            message = await socket.receive()
        await settled()

    assert message.data == 1011
    assert (Sockets.outcome.result, Sockets.outcome.error) == ("cut", "plugin_failed")


async def test_a_handshake_is_authorized_like_any_request(far):
    theirs = {"Authorization": "Bearer theirs"}
    async with (
        gateway_to(far.url, {"auth": "passes"}) as (gateway, session),
        session.ws_connect(f"{gateway.url}/x", headers=theirs) as socket,
    ):
        await socket.send_str("hello")
        answer = await socket.receive_str()

    assert answer == "hello"
    assert far.headers["Authorization"] == "Pass /x"
