import asyncio

import pytest
import uvloop

from llmproxy.body import Body
from llmproxy.config import Timeouts
from llmproxy.connection import UpstreamConnection
from llmproxy.replyreader import CLOSED
from llmproxy.testing import FakeUpstream, FaultProxy

from .talking import serving

CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


class Caller:
    """The source of an upload, which keeps what it is told."""

    def __init__(self) -> None:
        self.paused = self.abandoned = False
        self.body = Body(self._pause, self._resume, self._abandon)

    def _pause(self):
        self.paused = True

    def _resume(self):
        self.paused = False

    def _abandon(self):
        self.abandoned = True

    async def until(self, *, paused):
        async with asyncio.timeout(5):
            while self.paused is not paused:
                await asyncio.sleep(0.001)


@pytest.fixture
async def begin():
    made = []

    async def begin(port, head=CHUNKED):
        """Send a head and start the upload; return the caller, the connection and the reply's future."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: UpstreamConnection(lambda _: None, loop), "127.0.0.1", port
        )
        made.append(connection)
        caller = Caller()
        waiter = connection.send(head, Timeouts(), loop.time() + 10, head_only=False)
        connection.upload(caller.body, chunked=head is CHUNKED)
        return caller, connection, waiter

    yield begin
    for connection in made:
        connection.abort()
    await asyncio.sleep(0.01)


async def test_pieces_become_chunks_and_the_end_a_last_chunk(begin):
    async with FakeUpstream().reply(json={}) as upstream:
        caller, connection, waiter = await begin(upstream.port)
        caller.body.feed(b"one")
        await asyncio.sleep(0.01)
        caller.body.feed(b"two")
        caller.body.end()
        reply = await waiter

        assert (reply.status, upstream.requests[0].body) == (200, b"onetwo")
        assert upstream.requests[0].payload.chunks == (b"one", b"two")
        assert (connection.uploading, caller.abandoned) == (None, False)


async def test_a_body_of_known_length_is_written_as_it_comes(begin):
    async with FakeUpstream().reply(json={}) as upstream:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"
        caller, connection, waiter = await begin(upstream.port, head)
        caller.body.feed(b"onetwo")
        caller.body.end()
        await waiter

        assert upstream.requests[0].body == b"onetwo"
        assert connection.ready


async def test_a_caller_that_breaks_off_breaks_the_request_off(begin):
    async with FakeUpstream().reply(json={}) as upstream, FaultProxy(upstream.port) as line:
        caller, connection, waiter = await begin(line.port)
        caller.body.feed(b"half")
        await asyncio.sleep(0.01)
        caller.body.fail(ConnectionError())

        with pytest.raises(ConnectionError):
            await waiter
        await line.closed(1, within=0.25)
        assert (connection.state, upstream.requests) == (CLOSED, [])


async def test_an_upstream_that_does_not_read_stops_the_caller(begin):
    async with FakeUpstream().reply(json={}) as upstream, FaultProxy(upstream.port) as line:
        line.stall(direction="up")
        caller, connection, waiter = await begin(line.port)
        sent = 0
        while not caller.paused:
            caller.body.feed(b"x" * MIB)
            sent += MIB
            await asyncio.sleep(0)

        assert sent < 64 * MIB
        assert connection.uploading.stuck
        line.clear()
        await caller.until(paused=False)
        assert not connection.uploading.stuck
        caller.body.end()
        await waiter
        assert len(upstream.requests[0].body) == sent


@pytest.mark.parametrize("piece", [b"x", b"x" * 4 * MIB], ids=["waiting for more", "stuck"])
async def test_an_early_reply_ends_the_upload_and_the_connection(begin, piece):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(5)

    async with serving(refuse) as port:
        caller, connection, waiter = await begin(port)
        caller.body.feed(piece)
        reply = await waiter

        assert (reply.status, reply.body) == (413, b"no")
        assert (caller.abandoned, connection.state) == (True, CLOSED)


async def test_a_reply_may_stream_while_the_upload_goes_on(begin):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"two")
        await reader.read()

    async with serving(talk) as port:
        caller, connection, waiter = await begin(port)
        reply = await waiter
        caller.body.feed(b"more")
        caller.body.end()

        assert await reply.body.read(100) == b"onetwo"
        assert (connection.ready, caller.abandoned) == (True, False)
        connection.abort()


async def test_an_upstream_that_goes_lets_the_caller_go(begin):
    async with FakeUpstream().reply(json={}) as upstream, FaultProxy(upstream.port) as line:
        caller, connection, waiter = await begin(line.port)
        caller.body.feed(b"half")
        await asyncio.sleep(0.02)
        line.drop()
        with pytest.raises(Exception, match="closed the connection early"):
            await waiter

        assert (connection.state, caller.abandoned) == (CLOSED, True)
        caller.body.feed(b"late")
        caller.body.end()
