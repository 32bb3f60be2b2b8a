import asyncio
import base64
import socket
import ssl
import time

import pytest
import trustme
import uvloop

from llmproxy.body import Body
from llmproxy.config import PoolSettings, Timeouts, UpstreamConfig
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.messages import Headers, UpstreamRequest
from llmproxy.settings import UpstreamTls
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, FaultProxy, Judge
from llmproxy.upstream import Upstream

from .talking import serving

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


@pytest.fixture
async def make_upstream():
    made = []

    def make_upstream(url, credentials=None, **options):
        config = UpstreamConfig(base_url=url, **{"proxy": None, **options})
        made.append(Upstream("main", config, credentials, {}))
        return made[-1]

    yield make_upstream
    for upstream in made:
        upstream.close()
        for connection in list(upstream.pool._all):
            connection.abort()
    await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Return a server's context, and what makes a client trust it."""
    authority = trustme.CA()
    path = str(tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.cert_pem.write_to_path(path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=path)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, UpstreamTls(ca=path)


def make_request(method="POST", target="/chat", body=b"{}", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRequest(method, target, Headers.of(named), body)


async def send(upstream, request=None, timeouts=None, total=10.0):
    expires = asyncio.get_running_loop().time() + total
    async with asyncio.timeout(5):
        return await upstream.send(request or make_request(), timeouts or Timeouts(), expires)


async def whole(reply):
    return reply.body if isinstance(reply.body, bytes) else await reply.body.read(1 << 24)


async def test_a_request_arrives_as_it_was_prepared(make_upstream):
    async with FakeUpstream().reply(json={"a": 1}) as fake:
        upstream = make_upstream(
            f"{fake.url}/v1/", [(b"Authorization", b"Bearer key")], headers={"X-Team": "blue"}
        )
        reply = await send(upstream, make_request(authorization="Bearer theirs", X_Own="1"))

        (asked,) = fake.requests
        assert (reply.status, await whole(reply)) == (200, b'{"a":1}')
        assert (asked.method, asked.target, asked.body) == ("POST", "/v1/chat", b"{}")
        assert asked.headers == [
            (b"Host", f"127.0.0.1:{fake.port}".encode()),
            (b"Authorization", b"Bearer key"),
            (b"X-Team", b"blue"),
            (b"X-Own", b"1"),
            (b"Content-Length", b"2"),
        ]


async def test_a_request_carries_the_key_that_it_was_given():
    config = UpstreamConfig(base_url="http://h", proxy=None)
    keyed = [[(b"Authorization", b"Bearer a")], [(b"X-Key", b"b")]]
    upstream = Upstream("main", config, [(b"Accept-Encoding", b"identity")], {}, keyed)
    request = make_request(authorization="theirs", x_key="theirs", X_Own="1")
    first = upstream.head(request, 2)
    request.key = 1
    second = upstream.head(request, 2)

    start, end = b"POST /chat HTTP/1.1\r\nHost: h\r\n", b"Content-Length: 2\r\n\r\n"
    assert first == start + b"Authorization: Bearer a\r\nAccept-Encoding: identity\r\nX-Own: 1\r\n" + end
    assert second == start + b"X-Key: b\r\nAccept-Encoding: identity\r\nX-Own: 1\r\n" + end


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", None), ("DELETE", b"", None), ("POST", b"", "0"), ("GET", b"x", "1"), ("PUT", b"", "0")],
)
async def test_a_length_is_said_where_a_body_may_be(make_upstream, method, body, length):
    async with FakeUpstream().reply(json={}) as fake:
        await send(make_upstream(fake.url), make_request(method, body=body))

        assert fake.requests[0].header("content-length") == length


async def test_head_gets_no_body(make_upstream):
    async with FakeUpstream().reply(body=b"x" * 10) as fake:
        upstream = make_upstream(fake.url)
        reply = await send(upstream, make_request("HEAD", body=b""))
        again = await send(upstream, make_request("GET", body=b""))

        assert (reply.body, reply.headers.get("content-length")) == (b"", "10")
        assert await whole(again) == b"x" * 10
        assert fake.connections == 1


async def test_connections_are_kept(make_upstream):
    async with FakeUpstream().reply(json={}) as fake:
        upstream = make_upstream(fake.url)
        for _ in range(5):
            await whole(await send(upstream))

        assert (fake.connections, len(fake.requests)) == (1, 5)
        assert repr(upstream) == "<Upstream 'main' <Pool 1 open, 1 idle, 0 waiting>>"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_large_bodies_pass_both_ways(make_upstream, tls, secure):
    context, trusted = tls
    body = bytes(range(256)) * 40_000
    async with FakeUpstream(tls=context if secure else None).reply(body=body) as fake:
        upstream = make_upstream(fake.url, tls=trusted if secure else None)
        reply = await send(upstream, make_request(body=body))
        await asyncio.sleep(0.05)

        assert reply.body.size < len(body)
        assert await whole(reply) == body
        assert fake.requests[0].body == body
        assert await whole(await send(upstream)) == body
        assert fake.connections == 1


async def test_an_upstream_that_wants_a_certificate_and_gets_none_breaks_off(make_upstream, tls):
    def refuse(listening, context):
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as peer:
            peer.settimeout(5)
            with pytest.raises(ssl.SSLError):
                peer.do_handshake()
            time.sleep(0.05)  # the request that came meanwhile would turn the close into a reset

    context, trusted = tls
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            refusing = spawn(asyncio.to_thread(refuse, listening, context), name="refusing")
            with pytest.raises(UpstreamError) as caught:
                await send(make_upstream(f"https://127.0.0.1:{listening.getsockname()[1]}", tls=trusted))
            await refusing
    finally:
        context.verify_mode = ssl.CERT_NONE

    assert (caught.value.code, caught.value.phase) == ("upstream_tls_error", "tls")


@pytest.mark.parametrize("declared", [None, "6"])
async def test_a_body_that_still_comes_streams_through(make_upstream, declared):
    body = Body()
    async with FakeUpstream().reply(json={}) as fake:
        headers = {} if declared is None else {"content_length": declared}
        sending = spawn(send(make_upstream(fake.url), make_request(body=body, **headers)), name="sending")
        await asyncio.sleep(0.02)
        body.feed(b"one")
        body.feed(b"two")
        body.end()
        await sending

        (asked,) = fake.requests
        assert asked.body == b"onetwo"
        assert asked.header("content-length") == declared
        assert asked.header("transfer-encoding") == (None if declared else "chunked")


async def test_a_plain_proxy_is_asked_in_absolute_form_with_its_own_credentials(make_upstream):
    async with FakeUpstream().reply(json={}) as proxy:
        own = f"http://user:secret@127.0.0.1:{proxy.port}"
        upstream = make_upstream("http://api.example:8080/v1", proxy=own)
        await send(upstream, make_request(proxy_authorization="theirs"))

        (asked,) = proxy.requests
        assert asked.target == "http://api.example:8080/v1/chat"
        assert asked.header("host") == "api.example:8080"
        assert asked.header("proxy-authorization") == "Basic " + base64.b64encode(b"user:secret").decode()


def test_credentials_are_in_no_repr_and_no_message():
    async def look():
        upstream = Upstream(
            "main",
            UpstreamConfig(base_url="http://127.0.0.1:1", proxy="http://u:hidden@127.0.0.1:1"),
            [(b"Authorization", b"Bearer hidden")],
            {},
        )
        with pytest.raises(UpstreamError) as caught:
            await send(upstream)
        return (
            f"{upstream!r} {upstream.pool!r} {upstream.dialer!r} {caught.value!r} {caught.value.__cause__!r}"
        )

    assert "hidden" not in asyncio.run(look())


async def test_a_rooted_request_leaves_the_base_urls_path(make_upstream):
    async with FakeUpstream().reply(json={}) as fake:
        upstream, request = make_upstream(f"{fake.url}/v1/"), make_request(target="/upload/v1/files")
        request.rooted = True
        await send(upstream, request)

        assert fake.requests[0].target == "/upload/v1/files"
        assert upstream.url_of(request) == f"{fake.url}/upload/v1/files"


async def test_the_url_of_a_request_is_whole(make_upstream):
    upstream = make_upstream("https://api.example/v1/")

    assert upstream.url_of(make_request(target="/chat?a=b")) == "https://api.example/v1/chat?a=b"


# Connections that went stale


class Stale:
    """An upstream whose kept-alive connections are dead when they are used again, `alive` requests each."""

    def __init__(self, said=b"", alive=1) -> None:
        self.said = said
        self.alive = alive
        self.requests = []
        self.connections = 0

    async def talk(self, reader, writer):
        self.connections += 1
        for number in range(self.alive + 1):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.split(b" ")[0].decode())
            if self.connections == 1 and number == self.alive:
                writer.write(self.said)
                await writer.drain()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_what_may_be_repeated_is_when_a_kept_connection_turns_out_dead(make_upstream, method):
    stale = Stale()
    async with serving(stale.talk) as port:
        upstream = make_upstream(f"http://127.0.0.1:{port}")
        request = make_request(method, body=b"")
        await send(upstream, request)
        reply = await send(upstream, request)

        assert (reply.status, stale.connections, len(stale.requests)) == (200, 2, 3)


async def test_what_may_not_be_repeated_fails_then(make_upstream):
    stale = Stale()
    async with serving(stale.talk) as port:
        upstream = make_upstream(f"http://127.0.0.1:{port}")
        request = make_request("POST", body=b"")
        await send(upstream, request)
        with pytest.raises(UpstreamError) as caught:
            await send(upstream, request)

        fault = caught.value
        assert (fault.code, fault.phase, fault.sent) == ("upstream_reset", "headers", True)
        assert stale.requests == ["POST", "POST"]


async def test_a_request_says_whether_it_may_have_left(make_upstream):
    async with FakeUpstream().reply(json={}) as fake:
        request = make_request("POST")
        await whole(await send(make_upstream(fake.url), request))
        unsent = make_request("POST")
        with pytest.raises(UpstreamError):
            await send(make_upstream("http://127.0.0.1:9"), unsent)

        assert (request.sent, unsent.sent) == (True, False)


async def test_a_reply_that_has_begun_is_not_asked_for_again(make_upstream):
    stale = Stale(said=b"HTTP/1.1 200 O")
    async with serving(stale.talk) as port:
        upstream = make_upstream(f"http://127.0.0.1:{port}")
        await send(upstream, make_request("GET", body=b""))
        with pytest.raises(UpstreamError, match="closed the connection early"):
            await send(upstream, make_request("GET", body=b""))

        assert stale.connections == 1


async def test_a_fresh_connection_that_closes_is_not_tried_again(make_upstream):
    async with FakeUpstream().raw(b"") as fake:
        with pytest.raises(UpstreamError):
            await send(make_upstream(fake.url), make_request("GET", body=b""))

        assert fake.connections == 1


async def test_a_connection_closed_while_idle_costs_no_request(make_upstream):
    async with FakeUpstream().reply(json={}) as fake, FaultProxy(fake.port) as line:
        upstream = make_upstream(line.url)
        await whole(await send(upstream))
        line.drop("cut")
        await line.closed(1)
        await whole(await send(upstream))

        assert (len(line.links), len(fake.requests)) == (2, 2)


# Timeouts before the request is out; the rest are in test_pool.py.


@pytest.mark.parametrize("scheme", ["https", "proxied"])
@pytest.mark.parametrize("phase", ["connect", "total"])
async def test_a_handshake_that_is_never_answered_times_out(make_upstream, scheme, phase):
    async with FaultProxy(1) as line:
        line.mute()
        proxy = line.url if scheme == "proxied" else None
        url = "https://api.example" if proxy else f"https://127.0.0.1:{line.port}"
        upstream = make_upstream(url, proxy=proxy)
        limits = Timeouts(**{phase: 0.1})
        with pytest.raises(UpstreamTimeout, match=f"its {phase} timeout of 0.1 s") as caught:
            await send(upstream, timeouts=limits, total=limits.total)

        assert (caught.value.phase, caught.value.sent) == (phase, False)
        assert repr(upstream.pool) == "<Pool 0 open, 0 idle, 0 waiting>"
        await line.closed(1)


async def test_waiting_for_a_connection_times_out_too(make_upstream):
    async with FakeUpstream().stall() as fake:
        upstream = make_upstream(fake.url, pool=PoolSettings(max_connections=1, max_waiting=1))
        busy = spawn(send(upstream), name="busy")
        await fake.received()
        waiting = spawn(send(upstream, timeouts=Timeouts(connect=0.1)), name="waiting")
        await asyncio.sleep(0.02)
        with pytest.raises(GatewayError) as caught:
            await send(upstream)
        with pytest.raises(UpstreamTimeout, match="connect"):
            await waiting

        assert caught.value.status == 503
        assert repr(upstream.pool) == "<Pool 1 open, 0 idle, 0 waiting>"
        busy.cancel()


# The caller leaves


async def leaves(task):
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_leaving_while_the_handshake_is_never_answered_closes_at_once(make_upstream):
    async with FaultProxy(1) as line:
        line.mute()
        upstream = make_upstream(f"https://127.0.0.1:{line.port}")
        sending = spawn(send(upstream), name="sending")
        while not line.links:
            await asyncio.sleep(0.001)
        await leaves(sending)

        assert repr(upstream.pool) == "<Pool 0 open, 0 idle, 0 waiting>"
        await line.closed(1)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("phase", ["uploading", "stuck", "waiting", "reading", "streaming"])
async def test_leaving_closes_the_upstream_at_once(make_upstream, tls, secure, phase):
    context, trusted = tls
    async with Judge(tls=context if secure else None) as judge, FaultProxy(judge.port) as line:
        scheme = "https" if secure else "http"
        upstream = make_upstream(f"{scheme}://127.0.0.1:{line.port}", tls=trusted if secure else None)
        body = Body()
        directions = {
            "uploading": "id=it",
            "stuck": "id=it",
            "waiting": "id=it; stall=headers",
            "reading": "id=it; size=3000000",
            "streaming": "id=it; events=1000; delay=0.02",
        }[phase]
        question = b'{"model": "m", "messages": []%b}' % (
            b', "stream": true' if phase == "streaming" else b""
        )
        request = make_request(
            target="/v1/chat/completions",
            body=body if phase in {"uploading", "stuck"} else question,
            x_judge=directions,
            content_type="application/json",
        )
        if phase == "reading":
            line.stall(at=200_000)
        sending = spawn(send(upstream, request), name="sending")
        if phase == "stuck":
            line.stall(at=500_000, direction="up")
            for _ in range(32):
                body.feed(b"x" * (1 << 20))
        if phase in {"uploading", "stuck"}:
            body.feed(b'{"half')
        while not judge.totals.requests:
            await asyncio.sleep(0.001)
        if phase in {"reading", "streaming"}:
            reply = await sending
            reading = spawn(reply.body.read(1 << 30), name="reading")
            await asyncio.sleep(0.05)
            await leaves(reading)
        else:
            await leaves(sending)

        assert repr(upstream.pool) == "<Pool 0 open, 0 idle, 0 waiting>"
        if phase == "stuck":
            line.clear()
        await line.closed(1)


async def test_leaving_as_the_reply_comes_harms_nobody_who_took_the_connection(make_upstream):
    async with FakeUpstream().raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="keep") as fake:
        upstream = make_upstream(fake.url, pool=PoolSettings(max_connections=1))
        for _ in range(20):
            first = spawn(send(upstream), name="first")
            second = spawn(send(upstream), name="second")
            busy = None
            while busy is None or busy.waiter is not None:
                busy = next(iter(upstream.pool._all), None)
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first, second])

            assert (await second).body == b"ok"


async def test_a_closed_upstream_closes_its_idle_connections(make_upstream):
    async with FakeUpstream().reply(json={}) as fake, FaultProxy(fake.port) as line:
        upstream = make_upstream(line.url)
        await whole(await send(upstream))
        upstream.close()

        assert repr(upstream.pool) == "<Pool 0 open, 0 idle, 0 waiting>"
        await line.closed(1)


async def test_a_member_is_the_upstream_at_another_address(make_upstream):
    async with FakeUpstream().reply(body=b"here") as there:
        upstream = make_upstream("http://backend.test:81/base", [(b"Authorization", b"Bearer k")])
        member = upstream.member("main@there", "127.0.0.1", there.port)
        reply = await member.send(make_request("GET", "/x", b""), Timeouts(), float("inf"))
        member.close()

    request = there.requests[0]
    assert reply.body == b"here"
    assert (request.target, request.header("host")) == ("/base/x", "backend.test:81")
    assert request.header("authorization") == "Bearer k"
    assert (upstream.name, member.name) == ("main", "main@there")


async def test_members_are_judged_by_the_name_of_their_upstream(make_upstream, tls):
    context, trust = tls
    async with FakeUpstream(tls=context).reply(body=b"ok").reply(body=b"ok") as there:
        right = make_upstream("https://127.0.0.1:9", tls=trust).member("a", "127.0.0.1", there.port)
        wrong = make_upstream("https://backend.test", tls=trust).member("b", "127.0.0.1", there.port)
        reply = await right.send(make_request("GET", "/", b""), Timeouts(), float("inf"))
        with pytest.raises(UpstreamError) as refused:
            await wrong.send(make_request("GET", "/", b""), Timeouts(), float("inf"))
        right.close()

    assert reply.body == b"ok"
    assert refused.value.phase == "tls"
