"""How connections end: with the last reply readable, and not later than they must."""

import asyncio

import pytest

from llmproxy import closing
from llmproxy.testing import RawClient, running_gateway

NOTHING = {"plugins": {"openai": {}}, "routes": []}


@pytest.fixture
async def gateway():
    async with running_gateway(NOTHING) as running:
        yield running


async def test_what_is_no_request_is_answered_in_the_dialect_of_its_path(gateway):
    async with RawClient(gateway.url) as client:
        model = await client.exchange(b"GET /v1/models HTTP/1.1\r\nbroken line\r\n\r\n")
    async with RawClient(gateway.url) as client:
        plain = await client.exchange(b"GET /x HTTP/1.1\r\nbroken line\r\n\r\n")

    assert model.json()["error"]["code"] == plain.json()["code"] == "bad_request"
    assert model.header("connection") == "close"


async def test_a_caller_that_goes_on_sending_still_reads_the_answer(gateway):
    async with RawClient(gateway.url) as client:
        await client.send(b"PUT /x HTTP/1.1\r\nbroken\r\n\r\n")
        await client.send(*[b"x" * 65_536] * 8, pause=0.01)
        reply = await client.read_reply()

    assert reply.status == 400


async def test_a_caller_that_stays_is_left_after_a_while(gateway, monkeypatch):
    monkeypatch.setattr(closing, "LINGER", 0.2)
    (front,) = gateway._serving._fronts
    async with RawClient(gateway.url) as client:
        await client.exchange(b"PUT /x HTTP/1.1\r\nbroken\r\n\r\n")
        async with asyncio.timeout(2):
            while front.watch.open:
                await asyncio.sleep(0.01)


async def test_a_caller_that_left_gets_nothing(gateway):
    async with RawClient(gateway.url) as client:
        await client.send(b"PUT /x HTTP/1.1\r\nbroken\r\n\r\n")
        client.reset()
    (front,) = gateway._serving._fronts
    async with asyncio.timeout(2):
        while front.watch.open:
            await asyncio.sleep(0.01)

    assert gateway.log == []
