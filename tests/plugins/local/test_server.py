from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from llmproxy.plugin import GatewayError
from llmproxy.tasks import spawn
from llmproxy_local import server as module
from llmproxy_local.places import is_held


async def until(says):
    async with asyncio.timeout(15):
        while not says():
            await asyncio.sleep(0.02)


async def test_the_first_who_asks_starts_it_and_all_wait_for_the_same(site):
    server = site.server()
    assert not site.places.socket.exists()

    keys = await asyncio.gather(*(server.key() for _ in range(20)))

    assert len(set(keys)) == 1
    assert len(keys[0]) > 30
    await site.log.told("local_model_started")
    assert server.waiting == 0


async def test_another_worker_finds_it_and_starts_none(site):
    one, two = site.server(), site.server()
    keys = await asyncio.gather(one.key(), two.key())

    assert keys[0] == keys[1]
    await site.log.told("local_model_started")
    await one.stop()
    await two.stop()
    assert not is_held(site.places.alive)


async def test_one_that_dies_is_started_again(site):
    server = site.server()
    first = await server.key()
    await site.log.told("local_model_started")
    os.kill(site.log.events[0][1]["pid"], signal.SIGKILL)
    await until(lambda: not is_held(site.places.alive))
    second = await server.key()

    assert first != second
    await site.log.told("local_model_started", "local_model_ended", "local_model_started")


async def test_a_worker_whose_key_is_of_another_server_hears_of_the_new_one(site):
    one, two = site.server(), site.server()
    await one.key()
    await two.key()
    assert not two.has_changed()

    await one.stop()
    await one.key()
    assert two.has_changed()


async def test_it_is_stopped_when_nobody_asks(site):
    server = site.server(idle=1.0)
    await server.key()
    await until(lambda: not is_held(site.places.alive))

    assert not site.places.ready.exists()
    await server.key()
    assert site.log.events[1] == ("local_model_ended", {"model": "m", "code": 0})


async def test_a_long_answer_is_not_cut_for_idleness(site):
    server = site.server(idle=1.0)
    key = await server.key()
    reader, writer = await asyncio.open_unix_connection(str(site.places.socket))
    writer.write(f"POST / HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\nlong".encode())
    told = await reader.read()
    writer.close()

    assert b"200" in told


async def test_one_that_cannot_start_is_told_of_and_rests(site):
    site.weights.write_text("fail")
    server = site.server()
    for _ in range(2):
        with pytest.raises(GatewayError) as refused:
            await server.key()
        assert (refused.value.status, refused.value.code) == (503, "local_model_failed")

    await site.log.told("local_model_failed")
    assert "no such model" in site.log.events[0][1]["said"]


async def test_a_start_that_takes_too_long_is_given_up(site):
    site.weights.write_text("slow")
    server = site.server(within=0.01)
    with pytest.raises(GatewayError):
        await server.key()

    assert not is_held(site.places.alive)


async def test_who_leaves_does_not_take_the_start_along(site):
    site.weights.write_text("slow")
    server = site.server()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await server.key()

    await site.log.told("local_model_started")
    assert server.waiting == 0


async def test_a_process_that_comes_while_the_gateway_ends_is_ended(site, monkeypatch):
    begun, launched = asyncio.Event(), []
    server, loop = site.server(), asyncio.get_running_loop()
    launch = server._launch

    def slowly():
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)
        launched.append(launch())
        return launched[0]

    monkeypatch.setattr(server, "_launch", slowly)
    starting = spawn(server._start(), name="start")
    await begun.wait()
    starting.cancel()
    await asyncio.wait([starting])

    assert starting.cancelled()
    assert launched[0].returncode is not None
    assert launched[0].stdin.closed


async def test_too_many_who_wait_are_refused(site, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    server = site.server()
    answers = await asyncio.gather(*(server.key() for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(each, str) for each in answers) == 1
    assert {each.code for each in answers if isinstance(each, GatewayError)} == {"local_model_busy"}


async def test_stopping_what_never_started_is_no_matter(site):
    await site.server().stop()

    assert site.log.events == []
