import asyncio

import pytest
import uvloop

from llmproxy.body import ENDED, FAILED, Body
from llmproxy.config import Timeouts
from llmproxy.connection import MAX_HEAD, UpstreamConnection
from llmproxy.errors import UpstreamError
from llmproxy.replyreader import CLOSED, IDLE
from llmproxy.testing import FakeUpstream, FaultProxy

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


class Sink:
    """Keeps what it is fed."""

    def __init__(self) -> None:
        self.data = b""
        self.over = asyncio.get_running_loop().create_future()

    def feed(self, data):
        self.data += data

    def end(self):
        self.over.set_result("end")

    def fail(self, error):
        self.over.set_result(error)


@pytest.fixture
async def connect():
    made = []

    async def connect(port):
        loop = asyncio.get_running_loop()
        released = asyncio.Queue()
        _, connection = await loop.create_connection(
            lambda: UpstreamConnection(released.put_nowait, loop), "127.0.0.1", port
        )
        made.append(connection)
        return connection, released

    yield connect
    for connection in made:
        connection.abort()
    await asyncio.sleep(0.01)


async def exchange(connection, data=GET, *, head_only=False):
    expires = asyncio.get_running_loop().time() + 10
    async with asyncio.timeout(5):
        return await connection.send(data, Timeouts(), expires, head_only=head_only)


async def whole(reply):
    return reply.body if isinstance(reply.body, bytes) else await reply.body.read(1 << 24)


async def test_a_reply_in_one_read_is_whole_and_frees_the_connection(connect):
    async with FakeUpstream().raw(OK, then="keep") as upstream:
        connection, released = await connect(upstream.port)
        for _ in range(3):
            reply = await exchange(connection)

            assert (reply.status, reply.body, released.get_nowait()) == (200, b"ok", connection)
            assert (connection.state, connection.reused, connection.ready) == (IDLE, True, True)
        assert upstream.connections == 1


async def test_a_reply_in_pieces_streams_and_frees_the_connection_at_its_end(connect):
    async with FakeUpstream().stream([b"one", b"two", b"three"], delay=0.02) as upstream:
        connection, released = await connect(upstream.port)
        reply = await exchange(connection)

        assert reply.streamed
        assert await whole(reply) == b"onetwothree"
        assert (await released.get()).state == IDLE


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
async def test_interim_replies_are_not_the_reply(connect, interim):
    heads = [b"HTTP/1.1 %b\r\nX-Not: mine\r\n\r\n" % interim] * 2
    async with FakeUpstream().reply(body=b"done", interim=heads) as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)

        assert (reply.status, await whole(reply), "x-not" in reply.headers) == (200, b"done", False)


@pytest.mark.parametrize("raw", [b"204 No Content\r\n\r\n", b"304 Not Modified\r\nContent-Length: 5\r\n\r\n"])
async def test_a_status_without_a_body_ends_with_its_head(connect, raw):
    async with FakeUpstream().raw(b"HTTP/1.1 " + raw, then="keep") as upstream:
        connection, _ = await connect(upstream.port)
        for _ in range(2):
            assert (await exchange(connection)).body == b""
        assert upstream.connections == 1


async def test_a_reply_to_head_ends_with_its_head_and_the_connection_carries_on(connect):
    async with FakeUpstream().reply(body=b"0123456789") as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection, HEAD, head_only=True)

        assert (reply.body, reply.headers.get("content-length")) == (b"", "10")
        assert await whole(await exchange(connection)) == b"0123456789"
        assert upstream.connections == 1


async def test_an_upgrade_that_is_only_offered_is_no_upgrade(connect):
    offer = (
        b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nok"
    )
    async with FakeUpstream().raw(offer, then="keep") as upstream:
        connection, _ = await connect(upstream.port)

        assert (await exchange(connection)).body == b"ok"
        assert connection.ready


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["at once", "later"])
async def test_a_body_without_a_length_ends_with_the_connection(connect, pause):
    async with FakeUpstream().raw(b"HTTP/1.1 200 OK\r\n\r\n", pause, b"abc", pause, b"def") as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)

        assert await whole(reply) == b"abcdef"
        assert connection.state == CLOSED


async def test_a_body_without_a_length_that_is_reset_is_not_whole(connect):
    async with FakeUpstream().raw(b"HTTP/1.1 200 OK\r\n\r\nabc", 0.05, then="reset") as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)

        with pytest.raises(UpstreamError) as caught:
            await whole(reply)
        assert (caught.value.code, caught.value.phase) == ("upstream_reset", "body")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_body_that_stops_early_fails_and_never_ends(connect, framing, how):
    answer = FakeUpstream().reply(body=b"x" * 1000, framing=framing)
    async with answer as upstream, FaultProxy(upstream.port) as line:
        getattr(line, how)(at=500)
        connection, _ = await connect(line.port)
        reply = await exchange(connection)
        sink = Sink()
        reply.body.attach(sink)

        assert isinstance(await sink.over, UpstreamError)
        assert (reply.body.state, connection.state) == (FAILED, CLOSED)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_a_head_that_stops_early_fails_the_request(connect, sent):
    async with FakeUpstream().raw(sent) as upstream:
        connection, released = await connect(upstream.port)
        with pytest.raises(UpstreamError) as caught:
            await exchange(connection)

        fault = caught.value
        assert (fault.code, fault.phase, fault.sent, fault.status) == ("upstream_reset", "headers", True, 502)
        assert connection.silent == (not sent)
        assert released.get_nowait() is connection


BAD = {
    "no http": b"SSH-2.0-OpenSSH\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "two same lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "nul": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "name with a space": b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
    "unasked upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "large field": b"HTTP/1.1 200 OK\r\nX-A: %b\r\nContent-Length: 2\r\n\r\nok" % (b"x" * MAX_HEAD),
    "many fields": b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % (b"X-A: 0123456789\r\n" * 8000),
    "endless field": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 4 * MAX_HEAD,
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
async def test_a_malformed_head_is_refused_and_the_connection_closed(connect, raw):
    async with FakeUpstream().raw(raw, then="stall") as upstream:
        connection, released = await connect(upstream.port)
        with pytest.raises(UpstreamError) as caught:
            await exchange(connection)

        fault = caught.value
        assert (fault.code, fault.phase, fault.status) == ("upstream_protocol_error", "headers", 502)
        assert (connection.state, released.get_nowait()) == (CLOSED, connection)


@pytest.mark.parametrize(
    "bad", [b"zz\r\nabc\r\n", b"-3\r\nabc\r\n", b"3\r\nabcd\r\n", b"fffffffffffffffff\r\n"]
)
@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["at once", "later"])
async def test_a_bad_chunk_fails_the_body(connect, bad, pause):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    async with FakeUpstream().raw(head, pause, bad, then="stall") as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)

        with pytest.raises(UpstreamError) as caught:
            await whole(reply)
        assert (caught.value.code, caught.value.phase) == ("upstream_protocol_error", "body")
        assert connection.state == CLOSED


async def test_trailers_do_not_become_header_fields_nor_pile_up(connect):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    async with FakeUpstream() as upstream:
        upstream.raw(chunked + b"Set-Cookie: a=b\r\n\r\n", then="keep")
        upstream.raw(chunked, *[b"X-Trailer: 0123456789\r\n" * 2000] * 4, then="stall")
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)

        assert (reply.body, "set-cookie" in reply.headers) == (b"ok", False)
        with pytest.raises(UpstreamError, match="too large"):
            await whole(await exchange(connection))


@pytest.mark.parametrize("more", [b"garbage", OK, b"\0"], ids=["text", "second reply", "nul"])
async def test_bytes_after_a_reply_cost_the_connection_not_the_reply(connect, more):
    async with FakeUpstream().raw(OK + more, then="stall") as upstream:
        connection, released = await connect(upstream.port)

        assert (await exchange(connection)).body == b"ok"
        assert (await released.get()).state == CLOSED


async def test_bytes_on_an_idle_connection_close_it(connect):
    async with FakeUpstream().raw(OK, 0.02, b"HTTP/1.1 408 Bye\r\n\r\n", then="stall") as upstream:
        connection, released = await connect(upstream.port)
        await exchange(connection)

        assert (await released.get()).state == IDLE
        assert (await released.get()).state == CLOSED


async def test_an_idle_connection_that_the_upstream_closes_is_noticed(connect):
    async with FakeUpstream().raw(OK, then="keep") as upstream, FaultProxy(upstream.port) as line:
        connection, released = await connect(line.port)
        await exchange(connection)
        await released.get()
        line.drop("cut")

        assert (await released.get()).state == CLOSED
        assert not connection.ready


async def test_a_sink_that_pauses_stops_the_upstream(connect):
    size = 32 << 20
    async with FakeUpstream().reply(body=b"x" * size) as upstream, FaultProxy(upstream.port) as line:
        connection, released = await connect(line.port)
        reply = await exchange(connection)
        sink = Sink()
        reply.body.attach(sink)
        reply.body.pause(sink)
        passed = -1
        while passed != line.links[0].passed["down"]:
            passed = line.links[0].passed["down"]
            await asyncio.sleep(0.1)

        assert passed < size
        assert not connection.transport.is_reading()
        reply.body.resume(sink)
        assert (await sink.over, len(sink.data)) == ("end", size)
        assert (await released.get()).transport.is_reading()


async def test_nobody_attached_holds_little(connect):
    size = 32 << 20
    async with FakeUpstream().reply(body=b"x" * size) as upstream:
        connection, _ = await connect(upstream.port)
        reply = await exchange(connection)
        await asyncio.sleep(0.1)

        assert reply.body.size < 1 << 20
        assert not connection.transport.is_reading()


async def test_a_body_that_nobody_wants_closes_the_connection(connect):
    async with (
        FakeUpstream().stream([b"x"] * 1000, delay=0.02) as upstream,
        FaultProxy(upstream.port) as line,
    ):
        connection, _ = await connect(line.port)
        reply = await exchange(connection)
        reply.body.abandon()

        assert (connection.state, reply.body.state) == (CLOSED, FAILED)
        await line.closed(1, within=0.25)


@pytest.mark.parametrize("whole_reply", [True, False], ids=["whole", "streamed"])
async def test_giving_up_a_reply_that_came_meanwhile_hits_nobody_else(connect, whole_reply):
    async with FakeUpstream() as upstream:
        if whole_reply:
            upstream.raw(OK, then="keep")
        else:
            upstream.stream([b"x"] * 1000, delay=0.02)
        connection, _ = await connect(upstream.port)
        waiter = connection.send(GET, Timeouts(), asyncio.get_running_loop().time() + 10, head_only=False)
        while not waiter.done():
            await asyncio.sleep(0)
        connection.give_up(waiter)

        assert connection.ready is whole_reply


async def test_a_caller_that_leaves_while_waiting_closes_the_connection(connect):
    async with FakeUpstream().stall() as upstream, FaultProxy(upstream.port) as line:
        connection, _ = await connect(line.port)
        waiter = connection.send(GET, Timeouts(), asyncio.get_running_loop().time() + 10, head_only=False)
        await upstream.received()
        waiter.cancel()
        connection.give_up(waiter)

        await line.closed(1, within=0.25)
        assert connection.state == CLOSED


async def test_an_abort_tells_whoever_waits_why(connect):
    async with FakeUpstream().stall() as upstream:
        connection, _ = await connect(upstream.port)
        waiter = connection.send(GET, Timeouts(), asyncio.get_running_loop().time() + 10, head_only=False)
        connection.abort(UpstreamError("why", "This.", phase="headers", sent=True))
        connection.abort()

        with pytest.raises(UpstreamError, match="This"):
            await waiter


async def test_a_body_that_ended_stays_ended_when_the_connection_goes(connect):
    async with FakeUpstream().stream([b"a", b"b"], delay=0.02) as upstream:
        connection, _ = await connect(upstream.port)
        body = (await exchange(connection)).body
        await body.read(10)
        connection.abort()

        assert isinstance(body, Body)
        assert body.state == ENDED
