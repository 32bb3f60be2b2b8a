import asyncio
import subprocess
import sys

import pytest

from llmproxy.testing import Judge, RawClient

GET = b"GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n"


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
async def judge():
    async with Judge() as judge:
        yield judge


async def test_everything_is_counted(judge):
    async with RawClient(judge.url) as client:
        replies = [await client.exchange(GET) for _ in range(2)]
    await judge.closed("r1")
    totals = judge.totals

    assert (totals.opened, totals.closed, totals.requests, totals.complete, totals.abandoned) == (
        1,
        1,
        2,
        2,
        0,
    )
    assert totals.bytes_in == 2 * len(GET)
    assert totals.bytes_out == sum(len(reply.head.raw + reply.body) for reply in replies)
    assert [record["complete"] for record in judge.of("r1")] == [True, True]


async def test_its_own_pages_tell_and_forget_and_do_not_count(judge):
    async with RawClient(judge.url) as client:
        await client.exchange(GET)
        totals = (await client.exchange(get("/_judge/stats"))).json()
        records = (await client.exchange(get("/_judge/stats?id=r1"))).json()
        fresh = (await client.exchange(get("/_judge/reset"))).json()

    assert (totals["requests"], totals["open"], fresh["requests"]) == (1, 1, 0)
    assert (records[0]["target"], records[0]["closed"]) == ("/x", None)


async def test_a_request_is_known_from_its_head_on(judge):
    async with RawClient(judge.url) as client:
        await client.send(b"POST / HTTP/1.1\r\nx-judge: id=up\r\nContent-Length: 100\r\n\r\nhalf")
        served = await judge.arrived("up")
        while not served.bytes_in:
            await asyncio.sleep(0.001)
    await judge.closed("up")

    assert (served.bytes_in, served.uploaded, judge.totals.abandoned) == (4, False, 1)


@pytest.mark.parametrize(
    "wrong", [b"nothing\r\n\r\n", b"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
)
async def test_what_it_does_not_speak_ends_the_connection(judge, wrong):
    async with RawClient(judge.url) as client:
        await client.send(wrong)
        await client.read_to_end()

    assert judge.totals.broken == 1


async def test_a_long_body_is_counted_and_not_kept(judge):
    size = 6 << 20
    async with RawClient(judge.url) as client:
        await client.send(
            b"POST /x HTTP/1.1\r\nx-judge: id=big\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size
        )
        reply = await client.read_reply()

    assert (await judge.arrived("big")).bytes_in == size
    assert reply.json()["bytes"] < size


def test_it_runs_alone():
    command = [sys.executable, "-m", "llmproxy.testing.judge", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)}) as process:
        url = process.stdout.readline().split()[-1].decode()
        stats = asyncio.run(ask(url))
        process.terminate()

    assert stats["opened"] == 1


async def ask(url):
    async with RawClient(url) as client:
        return (await client.exchange(get("/_judge/stats"))).json()
