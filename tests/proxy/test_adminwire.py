import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from llmproxy.adminwire import PrivateServer, send
from llmproxy.messages import Reply


@contextlib.asynccontextmanager
async def serving(reply):
    async def answer(request):
        await request.read()
        return await send(request, reply)

    runner = web.ServerRunner(PrivateServer(answer), handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_every_answer_is_guarded_and_may_have_a_policy_of_its_own():
    own = {"Content-Security-Policy": "default-src 'none'"}
    async with serving(Reply.json({}, headers=own)) as port, aiohttp.ClientSession() as session:
        reply = await session.get(f"http://127.0.0.1:{port}/")

        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers.getall("Content-Security-Policy") == ["default-src 'none'"]


async def test_a_malformed_request_is_not_repeated():
    async with serving(Reply(204)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer sekret\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert b" 400 Bad Request\r\n" in answer
    assert b"sekret" not in answer


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
async def test_a_body_has_a_bound(monkeypatch, size, status):
    monkeypatch.setattr("llmproxy.adminwire.MAX_BODY", 10)
    async with serving(Reply.json({})) as port, aiohttp.ClientSession() as session:
        reply = await session.post(f"http://127.0.0.1:{port}/", data=b"x" * size)

        assert reply.status == status
