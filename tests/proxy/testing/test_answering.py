import asyncio

import pytest

from llmproxy.sse import Framer, parse
from llmproxy.testing import Judge, RawClient
from llmproxy.testing.wire import CutShort


@pytest.fixture
async def judge():
    async with Judge() as judge:
        yield judge


@pytest.fixture
async def client(judge):
    async with RawClient(judge.url) as client:
        yield client


def post(body, directions="", path="/v1/chat/completions"):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nx-judge: {directions}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


STREAM = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'


@pytest.mark.parametrize("delay", ["", "; delay=0.001"])
async def test_a_stream_is_sent_whole_and_counted(judge, client, delay):
    reply = await client.exchange(post(STREAM, f"id=a; events=3{delay}"))
    events = [parse(block) for block in Framer().feed(reply.body)]
    served = await judge.arrived("a")

    assert (len(events), events[-1].data, "usage" in events[-2].json()) == (6, b"[DONE]", True)
    assert (served.events, served.complete, served.uploaded, served.bytes_in) == (6, True, True, len(STREAM))


async def test_directions_may_stand_in_the_body(judge, client):
    reply = await client.exchange(post(b'{"x-judge":"id=b; echo=mark; size=4"}'))

    assert reply.json()["choices"][0]["message"]["content"] == "mark"
    assert (await judge.arrived("b")).complete


@pytest.mark.parametrize(
    ("path", "member", "value"),
    [("/v1/embeddings", "object", "list"), ("/v1/models", "object", "list"), ("/a?b=c", "target", "/a?b=c")],
)
async def test_other_paths_have_their_own_answers(client, path, member, value):
    reply = await client.exchange(post(b'{"input":"x"}', path=path))

    assert reply.json()[member] == value


async def test_a_status_is_answered_as_directed(client):
    reply = await client.exchange(post(STREAM, "status=429; retry_after=2; echo=too_much"))

    assert (reply.status, reply.header("retry-after"), reply.json()["error"]["message"]) == (
        429,
        "2",
        "too_much",
    )


@pytest.mark.parametrize(("body", "directions"), [(b"{}", "size=x"), (b"{}", "sise=1"), (b"{broken", "")])
async def test_what_it_cannot_follow_it_refuses(client, body, directions):
    assert (await client.exchange(post(body, directions))).status == 400


async def test_requests_sent_ahead_are_answered_in_order(client):
    await client.send(post(b"{}", "echo=first; wait=0.01") + post(b"{}", "echo=second"))
    texts = [(await client.read_reply()).json()["choices"][0]["message"]["content"] for _ in range(2)]

    assert texts == ["first", "second"]


@pytest.mark.parametrize("directions", ["stall=headers", "stall=events", "wait=60", "delay=60"])
async def test_a_client_that_leaves_early_is_noted(judge, directions):
    async with RawClient(judge.url) as client:
        await client.send(post(STREAM, f"id=a; {directions}"))
        served = await judge.arrived("a")
        assert served.closed is None
    closed = await judge.closed("a")

    assert closed >= served.started
    assert (served.complete, judge.totals.abandoned) == (False, 1)


@pytest.mark.parametrize("delay", ["", "; delay=0.001"])
async def test_a_cut_comes_after_exactly_so_many_bytes(judge, client, delay):
    await client.send(post(STREAM, f"id=a; cut=300{delay}"))

    assert len(await client.read_to_end()) == 300
    await judge.closed("a")
    assert (await judge.arrived("a")).bytes_out == 300


async def test_a_reset_comes_after_exactly_so_many_bytes(judge, client):
    await client.send(post(STREAM, "reset=300"))
    received = await client.read_exactly(300)

    assert received.startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionResetError):
        await client.read_some()


async def test_a_cut_answer_is_not_complete(client):
    with pytest.raises(CutShort):
        await client.exchange(post(b"{}", "cut=150; size=1000"))


async def test_a_client_that_does_not_read_is_not_written_to_without_end(judge, client):
    await client.send(post(STREAM, "id=a; events=200; size=200000; delay=0.0001"))
    served = await judge.arrived("a")
    stuck = -1
    while stuck != served.events:
        stuck = served.events
        await asyncio.sleep(0.1)
    reply = await client.read_reply()

    assert stuck < 200
    assert (len(reply.payload.chunks or ()), served.complete) == (203, True)
