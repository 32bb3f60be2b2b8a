import asyncio
import contextlib
import socket
from types import SimpleNamespace

import pytest
import uvloop

from llmproxy.body import Body
from llmproxy.config import PoolSettings, Timeouts
from llmproxy.connection import UpstreamConnection
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.pool import Pool
from llmproxy.replyreader import CLOSED
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, FaultProxy

from .talking import serving

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


class Door:
    """Opens connections to one port, when it is open itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened: list[UpstreamConnection] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self, make):
        await self.gate.wait()
        _, connection = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", self.port)
        self.opened.append(connection)
        return connection


@pytest.fixture
async def upstream():
    async with FakeUpstream().reply(body=b"ok") as upstream:
        yield upstream


@pytest.fixture
async def make_pool(upstream):
    made = []

    def make_pool(port=upstream.port, **settings):
        door = Door(port)
        pool = Pool(door.open, PoolSettings(**settings))
        made.append((pool, door))
        return pool, door

    yield make_pool
    for pool, door in made:
        pool.close()
        for connection in door.opened:
            connection.abort()
    await asyncio.sleep(0.01)


async def exchange(connection, data=GET, timeouts=None, total=10.0):
    expires = asyncio.get_running_loop().time() + total
    async with asyncio.timeout(5):
        return await connection.send(data, timeouts or Timeouts(), expires, head_only=False)


def waiting(pool):
    return len(pool._waiting)


async def in_line(pool, count=1):
    """Start callers that wait for a connection, in order."""
    tasks = []
    for _ in range(count):
        before = waiting(pool)
        tasks.append(spawn(pool.acquire(), name="caller"))
        while waiting(pool) == before:
            await asyncio.sleep(0)
    return tasks


async def test_a_connection_is_used_again_the_last_one_first(make_pool, upstream):
    pool, _ = make_pool()
    first, second = await pool.acquire(), await pool.acquire()
    await exchange(first)
    await exchange(second)

    assert repr(pool) == "<Pool 2 open, 2 idle, 0 waiting>"
    assert await pool.acquire() is second
    assert pool.idle_connection() is first
    assert pool.idle_connection() is None
    assert upstream.connections == 2


async def test_no_more_than_the_limit_are_open_and_waiters_are_served_in_order(make_pool, upstream):
    pool, door = make_pool(max_connections=2)
    held = [await pool.acquire(), await pool.acquire()]
    tasks = await in_line(pool, 3)
    await exchange(held[0])

    assert await tasks[0] is held[0]
    assert not tasks[1].done()
    held[1].abort()
    fresh = await tasks[1]
    assert fresh not in held
    await exchange(held[0])
    assert await tasks[2] is held[0]
    assert (len(door.opened), upstream.connections) == (3, 3)


async def test_a_place_promised_to_a_waiter_is_not_given_away(make_pool):
    pool, door = make_pool(max_connections=1)
    held = await pool.acquire()
    (first,) = await in_line(pool)
    held.abort()
    late = spawn(pool.acquire(), name="late")
    await first
    await asyncio.sleep(0)

    assert not late.done()
    assert len(pool._all) == 1
    first.result().abort()
    await late
    assert len(door.opened) == 3


async def test_a_full_queue_is_refused_at_once(make_pool):
    pool, _ = make_pool(max_connections=1, max_waiting=1)
    held = await pool.acquire()
    (first,) = await in_line(pool)
    with pytest.raises(GatewayError) as caught:
        await pool.acquire()

    fault = caught.value
    assert (fault.status, fault.code, fault.retry_after) == (503, "upstream_busy", 1)
    await exchange(held)
    assert await first is held


async def test_a_waiter_that_leaves_loses_nothing_for_the_next(make_pool):
    pool, _ = make_pool(max_connections=1)
    held = await pool.acquire()
    first, second = await in_line(pool, 2)
    first.cancel()
    await asyncio.wait([first])

    assert waiting(pool) == 1
    await exchange(held)
    assert await second is held


async def test_a_turn_given_to_a_caller_that_is_leaving_goes_to_the_next(make_pool):
    pool, _ = make_pool(max_connections=1)
    held = await pool.acquire()
    first, second, third = await in_line(pool, 3)
    pool._idle.clear()
    reply = spawn(exchange(held), name="reply")
    while waiting(pool) == 3:
        await asyncio.sleep(0)
    first.cancel()
    await reply

    assert await second is held
    held.abort()
    third.cancel()
    await asyncio.wait([third])
    assert await pool.acquire()
    assert pool._opening == 0


async def test_a_promised_place_that_is_not_taken_goes_to_the_next(make_pool):
    pool, door = make_pool(max_connections=1)
    held = await pool.acquire()
    first, second = await in_line(pool, 2)
    held.abort()
    first.cancel()

    assert await second is door.opened[-1]
    assert (pool._opening, len(pool._all)) == (0, 1)


@pytest.mark.parametrize("how", ["cancelled", "refused"])
async def test_a_connection_that_does_not_come_about_frees_its_place(make_pool, how):
    pool, door = make_pool(max_connections=1)
    door.gate.clear()
    opening = spawn(pool.acquire(), name="opening")
    await asyncio.sleep(0)
    (next_in_line,) = await in_line(pool)
    if how == "cancelled":
        opening.cancel()
    else:
        right, door.port = door.port, 1
        door.gate.set()
        with contextlib.suppress(OSError):
            await opening
        door.port = right
    door.gate.set()
    await asyncio.wait([opening, next_in_line])

    if how == "cancelled":
        assert next_in_line.result() is door.opened[0]
    assert pool._opening == 0
    assert len(pool._all) == len(door.opened)


async def test_a_connection_lost_before_its_waiter_wakes_is_not_used(make_pool):
    pool, _ = make_pool(max_connections=1)
    held = await pool.acquire()
    (first,) = await in_line(pool)
    reply = spawn(exchange(held), name="reply")
    while waiting(pool):
        await asyncio.sleep(0)
    held.abort()
    fresh = await first

    assert fresh is not held
    assert fresh.ready
    await reply


async def test_an_upstream_that_closes_at_once_is_told_as_such(make_pool):
    async def slam(_, writer):
        writer.write(b"HTTP/1.1 503 Full\r\n\r\n")
        await writer.drain()

    async with serving(slam) as port:
        pool, door = make_pool(port)
        opening = door.open

        async def slow(make):
            connection = await opening(make)
            while connection.ready:
                await asyncio.sleep(0.001)
            return connection

        pool._open = slow
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()

        assert (caught.value.phase, caught.value.sent) == ("connect", False)
        assert (pool._opening, len(pool._all)) == (0, 0)


async def test_a_connection_the_upstream_closed_while_idle_is_passed_over(make_pool, upstream):
    async with FaultProxy(upstream.port) as line:
        pool, door = make_pool(line.port)
        await exchange(await pool.acquire())
        line.drop("cut")
        while door.opened[0].state != CLOSED:
            await asyncio.sleep(0.001)

        assert repr(pool) == "<Pool 0 open, 0 idle, 0 waiting>"
        fresh = await pool.acquire()
        assert (fresh.reused, await whole(await exchange(fresh))) == (False, b"ok")


async def whole(reply):
    return reply.body if isinstance(reply.body, bytes) else await reply.body.read(1000)


@pytest.mark.parametrize("idle_for", [0.0, 2.0])
async def test_an_end_that_the_loop_has_not_seen_yet_is_looked_for_after_a_while(make_pool, idle_for):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pool, _ = make_pool(listening.getsockname()[1])
        connection = await pool.acquire()
        peer, _ = listening.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await exchange(connection)
        connection.touched -= idle_for

        assert (pool.idle_connection() is None) == bool(idle_for)


async def test_a_quiet_connection_is_used_however_long_it_was_idle(make_pool):
    pool, _ = make_pool()
    connection = await pool.acquire()
    await whole(await exchange(connection))
    connection.touched -= 30

    assert pool.idle_connection() is connection


async def test_an_idle_connection_expires(make_pool, upstream):
    async with FaultProxy(upstream.port) as line:
        pool, _ = make_pool(line.port, keepalive=0.05)
        await exchange(await pool.acquire())

        await line.closed(1)
        assert pool._all == set()


async def test_a_closed_pool_closes_what_is_idle_now_and_the_rest_as_it_comes_back(make_pool, upstream):
    pool, door = make_pool(max_connections=2)
    idle, busy = await pool.acquire(), await pool.acquire()
    await exchange(idle)
    pool.close()

    assert (idle.state, busy.ready) == (CLOSED, True)
    assert await whole(await exchange(busy)) == b"ok"
    assert busy.state == CLOSED
    last = await pool.acquire()
    upstream.stall(path="/slow")
    with pytest.raises(UpstreamTimeout):
        await exchange(last, b"GET /slow HTTP/1.1\r\n\r\n", Timeouts(headers=0.05))
    assert pool._all == set()
    assert len(door.opened) == 3


SHORT = 0.05


async def fails_with(awaiting, phase, line, seconds=SHORT):
    with pytest.raises(UpstreamTimeout, match=f"its {phase} timeout of {seconds:g} s") as caught:
        async with asyncio.timeout(5):
            await awaiting

    assert (caught.value.phase, caught.value.status, caught.value.sent) == (phase, 504, True)
    await line.closed(1, within=1)


@pytest.fixture
async def line(upstream):
    async with FaultProxy(upstream.port) as line:
        yield line


async def test_headers_that_do_not_come_time_out(make_pool, upstream, line):
    upstream.stall(path="/")
    pool, _ = make_pool(line.port)

    await fails_with(exchange(await pool.acquire(), timeouts=Timeouts(headers=SHORT)), "headers", line)


async def test_a_first_token_that_does_not_come_times_out_though_bytes_do(make_pool, upstream, line):
    upstream.stream([b": ping\n\n"] * 500, delay=0.01, path="/")
    pool, _ = make_pool(line.port)
    reply = await exchange(await pool.acquire(), timeouts=Timeouts(first_token=SHORT))
    reply.body.tap = SimpleNamespace(first_output=False)

    await fails_with(reply.body.read(1 << 20), "first_token", line)


async def test_silence_in_a_body_times_out(make_pool, upstream, line):
    upstream.stall(before_headers=False, path="/")
    pool, _ = make_pool(line.port)
    reply = await exchange(await pool.acquire(), timeouts=Timeouts(idle=SHORT, first_token=SHORT))
    reply.body.tap = SimpleNamespace(first_output=True)

    await fails_with(reply.body.read(100), "idle", line)


async def test_the_total_runs_out_whatever_still_comes(make_pool, upstream, line):
    upstream.stream([b"x"] * 500, delay=0.01, path="/")
    pool, _ = make_pool(line.port)
    reply = await exchange(await pool.acquire(), timeouts=Timeouts(total=SHORT), total=SHORT)

    await fails_with(reply.body.read(1000), "total", line)


async def test_an_upload_that_the_upstream_does_not_take_times_out(make_pool, line):
    line.stall(direction="up")
    pool, _ = make_pool(line.port)
    connection = await pool.acquire()
    body = Body()
    waiter = connection.send(
        POST, Timeouts(idle=SHORT), asyncio.get_running_loop().time() + 10, head_only=False
    )
    connection.upload(body, chunked=True)
    for _ in range(64):
        body.feed(b"x" * (1 << 20))

    with pytest.raises(UpstreamTimeout, match="its idle timeout"):
        await waiter


async def test_nothing_is_late_while_the_caller_uploads(make_pool, upstream):
    pool, _ = make_pool()
    connection = await pool.acquire()
    body = Body()
    limits = Timeouts(headers=0.2, idle=SHORT)
    waiter = connection.send(POST, limits, asyncio.get_running_loop().time() + 10, head_only=False)
    connection.upload(body, chunked=True)
    await asyncio.sleep(0.35)
    body.feed(b"late")
    body.end()

    assert (await waiter).status == 200
    assert upstream.requests[0].body == b"late"


async def test_a_slow_reader_is_no_silent_upstream(make_pool, upstream):
    size = 8 << 20
    upstream.reply(body=b"x" * size, path="/")
    pool, _ = make_pool()
    reply = await exchange(await pool.acquire(), timeouts=Timeouts(idle=SHORT))
    await asyncio.sleep(0.2)

    assert len(await reply.body.read(size)) == size


async def test_who_closes_a_pool_is_told_when_nothing_is_left(make_pool, upstream):
    pool, _ = make_pool()
    told = []
    busy, idle = await pool.acquire(), await pool.acquire()
    await exchange(idle)
    pool.close(lambda: told.append(pool._all.copy()))
    before = list(told)
    await exchange(busy)

    assert before == []
    assert told == [set()]


async def test_an_empty_pool_is_left_at_once(make_pool):
    pool, _ = make_pool()
    told = []
    pool.close(lambda: told.append("empty"))

    assert told == ["empty"]


async def test_a_pool_that_is_opened_again_keeps_connections(make_pool, upstream):
    pool, _ = make_pool()
    told = []
    busy = await pool.acquire()
    pool.close(lambda: told.append("empty"))
    pool.reopen()
    await exchange(busy)

    assert pool.idle_connection() is busy
    assert told == []
