import asyncio
from contextlib import aclosing

import pytest

from llmproxy import peers
from llmproxy.bus import Bus, Peer, StreamBroken


@pytest.fixture
async def join(tmp_path):
    """Start buses in one directory; they are closed after the test."""
    buses = []

    async def start(slot):
        buses.append(Bus(tmp_path, slot))
        await buses[-1].start()
        return buses[-1]

    yield start
    for bus in buses:
        await bus.close()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


async def test_what_one_publishes_all_others_hear_in_order(join):
    one, two, three = [await join(slot) for slot in range(3)]
    heard = {bus.me.slot: [] for bus in (one, two, three)}
    for bus in (one, two, three):
        bus.subscribe(
            "purge", lambda payload, sender, bus=bus: heard[bus.me.slot].append((payload, sender.slot))
        )
    for number in range(50):
        await one.publish("purge", b"%d" % number)
    await until(lambda: len(heard[1]) == len(heard[2]) == 50)

    assert heard[0] == []
    assert heard[1] == heard[2] == [(b"%d" % number, 0) for number in range(50)]


async def test_an_async_subscriber_is_awaited_before_the_next_message(join):
    one, two = await join(0), await join(1)
    heard = []

    async def slow_start(payload, sender):
        await asyncio.sleep(0.02 if not heard else 0)
        heard.append(payload)

    two.subscribe("purge", slow_start)
    await one.publish("purge", b"first")
    await one.publish("purge", b"second")
    await until(lambda: len(heard) == 2)

    assert heard == [b"first", b"second"]


async def test_an_unsubscribed_handler_hears_no_more(join):
    one, two = await join(0), await join(1)
    heard = []
    two.subscribe("purge", lambda payload, sender: heard.append(b"never"))()
    two.subscribe("purge", lambda payload, sender: heard.append(payload))
    await one.publish("purge", b"now")
    await until(lambda: heard)

    assert heard == [b"now"]


async def test_a_failing_subscriber_does_not_keep_others_from_hearing(join):
    one, two = await join(0), await join(1)
    heard = []
    two.subscribe("purge", lambda payload, sender: 1 / 0)
    two.subscribe("purge", lambda payload, sender: heard.append(payload))
    await one.publish("purge", b"now")
    await until(lambda: heard)

    assert heard == [b"now"]


async def test_all_others_answer_a_question(join):
    one, two, three = [await join(slot) for slot in range(3)]
    two.answer("metrics", lambda payload, asker: payload + b" from two")

    async def answer(payload, asker):
        return b"for %d" % asker.slot

    three.answer("metrics", answer)
    answers = await one.ask("metrics", b"hello")

    assert answers.payloads == {two.me: b"hello from two", three.me: b"for 0"}
    assert answers.missing == {}


async def test_who_cannot_answer_is_told_with_the_reason(join, tmp_path):
    one, silent, failing, slow, long = [await join(slot) for slot in range(5)]
    failing.answer("metrics", lambda payload, asker: 1 / 0)
    long.answer("metrics", lambda payload, asker: bytes(peers.MAX_PAYLOAD + 1))

    async def never(payload, asker):
        await asyncio.sleep(30)

    slow.answer("metrics", never)
    gone = Peer(9, 4242)
    (tmp_path / gone.file_name).touch()
    answers = await one.ask("metrics", timeout=0.2)

    assert answers.payloads == {}
    assert answers.missing == {
        silent.me: "it has no answer to this topic",
        failing.me: "it failed with ZeroDivisionError",
        slow.me: "it did not answer within 0.2 s",
        long.me: f"its answer is longer than {peers.MAX_PAYLOAD} bytes",
        gone: "gone",
    }


async def test_a_peer_that_dies_while_asked_costs_no_wait(join):
    one, two = await join(0), await join(1)
    asked = asyncio.Event()

    async def die(payload, asker):
        asked.set()
        await asyncio.sleep(30)

    two.answer("metrics", die)
    async with asyncio.TaskGroup() as group:
        answers = group.create_task(one.ask("metrics", timeout=30))
        await asked.wait()
        await two.close()

    assert answers.result().missing == {two.me: "gone"}


async def test_a_worker_that_leaves_is_missed_by_nobody_and_its_successor_is_reached(join):
    one, two = await join(0), await join(1)
    two.answer("pid", lambda payload, asker: b"old")
    before = await one.ask("pid")
    await two.close()
    alone = await one.ask("pid")
    again = await join(2)
    again.answer("pid", lambda payload, asker: b"new")
    after = await one.ask("pid")

    assert [*before.payloads.values(), *alone.payloads.values(), *after.payloads.values()] == [b"old", b"new"]
    assert one.peers() == [again.me]


async def test_a_stopped_peer_costs_a_bounded_queue_and_drops_are_counted(join, monkeypatch):
    monkeypatch.setattr(peers, "_QUEUED_BYTES", 100_000)
    one, two = await join(0), await join(1)
    release = asyncio.Event()
    heard = []

    async def wait(payload, sender):
        await release.wait()
        heard.append(payload)

    two.subscribe("purge", wait)
    for _ in range(200):
        await one.publish("purge", bytes(20_000))
        await asyncio.sleep(0)
    dropped = one.dropped
    full = await one.ask("purge", bytes(90_000))
    release.set()
    await until(lambda: len(heard) == 200 - dropped)

    assert 100 < dropped < 200
    assert full.missing == {two.me: "its queue is full"}
    assert one.dropped == dropped + 1


async def test_a_payload_too_long_is_refused_before_anything_is_sent(join):
    one = await join(0)
    with pytest.raises(ValueError, match="may be sent"):
        await one.publish("purge", bytes(peers.MAX_PAYLOAD + 1))


async def test_a_stream_arrives_whole(join):
    one, two = await join(0), await join(1)

    async def count(payload, follower):
        for number in range(int(payload)):
            yield b"%d" % number

    two.serve_stream("count", count)
    chunks = [chunk async for chunk in one.stream(two.me, "count", b"100")]

    assert chunks == [b"%d" % number for number in range(100)]


async def test_a_follower_that_does_not_read_holds_the_stream_back(join):
    one, two = await join(0), await join(1)
    sent = 0

    async def flood(payload, follower):
        nonlocal sent
        for sent in range(1, 1001):  # noqa: B007
            yield bytes(16384)

    two.serve_stream("flood", flood)
    async with aclosing(one.stream(two.me, "flood")) as chunks:
        await anext(chunks)
        last = -1
        while sent != last:
            last = sent
            await asyncio.sleep(0.05)
        held_at = sent
        rest = [chunk async for chunk in chunks]

    assert held_at < 200
    assert len(rest) == 999


async def test_a_follower_that_leaves_ends_the_stream_at_its_source(join):
    one, two = await join(0), await join(1)
    ended = asyncio.Event()

    async def drip(payload, follower):
        try:
            yield b"first"
            await asyncio.sleep(30)
        finally:
            ended.set()

    two.serve_stream("drip", drip)
    async with aclosing(one.stream(two.me, "drip")) as chunks:
        first = await anext(chunks)
    await ended.wait()

    assert first == b"first"


async def test_a_stream_that_breaks_never_looks_whole(join):
    one, two = await join(0), await join(1)

    async def fail(payload, follower):
        yield b"first"
        raise RuntimeError("a secret")

    async def cut(payload, follower):
        yield b"first"
        await two.close()
        yield b"never"

    two.serve_stream("fail", fail)
    two.serve_stream("cut", cut)
    reasons = []
    for peer, topic in [(two.me, "none"), (two.me, "fail"), (two.me, "cut"), (Peer(7, 1), "count")]:
        with pytest.raises(StreamBroken) as broken:
            _ = [chunk async for chunk in one.stream(peer, topic)]
        reasons.append(str(broken.value))

    assert reasons == [
        "it has no such stream",
        "it failed with RuntimeError",
        "the worker is gone",
        "the worker is gone",
    ]


async def test_a_connection_that_speaks_something_else_is_closed(join, tmp_path):
    one = await join(0)
    reader, writer = await asyncio.open_unix_connection(tmp_path / one.me.file_name)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")

    assert await reader.read() == b""
    writer.close()


async def test_a_worker_alone_has_a_bus_without_peers():
    bus = Bus(None, 0)
    await bus.start()
    await bus.publish("purge", b"x")
    answers = await bus.ask("metrics")
    with pytest.raises(StreamBroken, match="no other worker"):
        bus.stream(bus.me, "count")
    await bus.close()

    assert (answers.payloads, answers.missing, bus.peers(), bus.dropped) == ({}, {}, [], 0)
