import asyncio

import pytest

from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, FaultProxy, RawClient
from llmproxy.testing.wire import CutShort

GET = b"GET / HTTP/1.1\r\n\r\n"
REPLY = b"HTTP/1.1 200 Scripted\r\nContent-Length: 10\r\n\r\n0123456789"


@pytest.fixture
async def upstream():
    async with FakeUpstream().reply(body=b"0123456789") as upstream:
        yield upstream


@pytest.fixture
async def line(upstream):
    async with FaultProxy(upstream.port) as line:
        yield line


async def test_without_faults_every_byte_passes(line):
    async with RawClient(line.url) as client:
        await client.send(GET)

        assert await client.read_until(b"9") == REPLY
        assert line.links[0].passed == {"up": len(GET), "down": len(REPLY)}


@pytest.mark.parametrize("at", [0, 1, 20, len(REPLY) - 1])
async def test_a_cut_comes_at_its_byte(line, at):
    line.cut(at=at)
    async with RawClient(line.url) as client:
        await client.send(GET)

        assert await client.read_to_end() == REPLY[:at]


async def test_a_reset_comes_at_its_byte(line):
    line.reset(at=20)
    async with RawClient(line.url) as client:
        await client.send(GET)

        assert await client.read_exactly(20) == REPLY[:20]
        with pytest.raises(ConnectionResetError):
            await client.read_some()


async def test_a_fault_on_the_way_up_leaves_the_upstream_with_half_a_request(line, upstream):
    line.cut(at=5, direction="up")
    async with RawClient(line.url) as client:
        await client.send(GET)
        await client.read_to_end()

    async with asyncio.timeout(5):
        while not upstream.faults:
            await asyncio.sleep(0.001)
    assert str(upstream.faults[0]) == "the connection ended inside the head, after 5 bytes of it"
    assert upstream.requests == []


async def test_a_fault_may_be_meant_for_one_connection(line):
    line.cut(at=3, connection=2)
    outcomes = []
    for _ in range(3):
        async with RawClient(line.url) as client:
            try:
                outcomes.append((await client.exchange(GET)).status)
            except CutShort as fault:
                outcomes.append(fault.received)

    assert outcomes == [200, b"HTT", 200]


async def test_a_stall_lasts_until_it_is_cleared(line):
    line.stall(at=len(REPLY) - 5)
    async with RawClient(line.url, timeout=0.2) as client:
        await client.send(GET)
        assert await client.read_until(b"4") == REPLY[:-5]
        with pytest.raises(TimeoutError):
            await client.read_some()
        line.clear()

        assert await client.read_some() == b"56789"


async def test_a_delay_holds_once_and_loses_nothing(line):
    line.delay(0.01, at=4)
    async with RawClient(line.url) as client:
        assert (await client.exchange(GET)).body == b"0123456789"


async def test_a_slow_line_sends_in_small_pieces(line):
    line.slow(1000, at=len(REPLY) - 10)
    async with RawClient(line.url) as client:
        await client.send(GET)
        start = await client.read_until(b"\r\n\r\n")
        pieces = [await client.read_some()]
        while sum(map(len, pieces)) < 10:
            pieces.append(await client.read_some())

    assert start + b"".join(pieces) == REPLY


async def test_a_slow_line_never_sends_ahead_of_its_rate(line):
    line.slow(100, at=len(REPLY) - 10)
    async with RawClient(line.url) as client:
        await client.send(GET)
        await client.read_until(b"\r\n\r\n")

        assert await client.read_some() == b"0"


async def test_a_mute_line_accepts_and_says_nothing_until_the_client_leaves(line, upstream):
    line.mute()
    async with RawClient(line.url, timeout=0.05) as client:
        with pytest.raises(TimeoutError):
            await client.exchange(GET)
        assert line.links[0].closed is None
    closed = await line.closed(1)

    assert closed >= line.links[0].opened
    assert upstream.connections == 0


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_open_connections_may_be_dropped_at_any_time(line, how):
    async with RawClient(line.url) as client:
        await client.exchange(GET)
        line.drop(how)
        outcome = await asyncio.gather(client.read_some(), return_exceptions=True)

    assert outcome == [b""] if how == "cut" else isinstance(outcome[0], ConnectionResetError)


async def test_a_client_that_leaves_is_noted_and_passed_on(line, upstream):
    upstream.stall(path="/stall")
    async with RawClient(line.url) as client:
        await client.send(GET.replace(b"/ ", b"/stall "))
        await upstream.received()
    await line.closed(1)
    async with asyncio.timeout(5):
        while upstream.open_connections:
            await asyncio.sleep(0.005)


async def test_a_close_may_be_waited_for_before_the_connection_is_there(line):
    waiting = spawn(line.closed(1), name="waits")
    await asyncio.sleep(0)
    async with RawClient(line.url):
        pass

    assert await waiting == line.links[0].closed


async def test_a_missing_target_resets_the_client():
    async with FakeUpstream() as gone:
        port = gone.port
    async with FaultProxy(port) as line, RawClient(line.url) as client:
        with pytest.raises(ConnectionResetError):
            await client.exchange(GET)
