import asyncio
import ssl

import pytest
import trustme

from llmproxy.testing import FakeUpstream, RawClient
from llmproxy.testing.wire import CutShort, WireFault

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_reply_is_read_to_the_byte():
    async with (
        FakeUpstream().reply(201, json={"a": 1}, headers=[("X-Odd", "\xe9")]) as upstream,
        RawClient(upstream.url) as client,
    ):
        reply = await client.exchange(GET)

    assert (reply.status, reply.reason, reply.json()) == (201, "Scripted", {"a": 1})
    assert reply.headers[1] == ("X-Odd", "\xe9")
    assert reply.header("content-type") == "application/json"


async def test_its_own_port_names_it():
    seen = []

    async def serve(reader, writer):
        seen.append(writer.get_extra_info("peername")[1])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, RawClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        await client.read_to_end()

        assert seen == [client.port]


async def test_requests_may_be_sent_ahead():
    async with (
        FakeUpstream().reply(body=b"one").reply(body=b"two", framing="chunked") as upstream,
        RawClient(upstream.url) as client,
    ):
        await client.send(GET * 2)
        bodies = [(await client.read_reply()).body for _ in range(2)]

    assert bodies == [b"one", b"two"]


async def test_pieces_arrive_apart():
    pieces = []

    async def serve(reader, writer):
        while data := await reader.read(100):
            pieces.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with RawClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        await client.send(b"GE", b"T / HT", pause=0.03)
        client.half_close()
        rest = await client.read_to_end()
    server.close()

    assert (pieces, rest) == ([b"GE", b"T / HT"], b"")


async def test_interim_heads_come_before_the_reply():
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with FakeUpstream().reply(interim=[early, early]) as upstream, RawClient(upstream.url) as client:
        reply = await client.exchange(GET)

    assert [head.raw for head in reply.interim] == [early, early]
    assert reply.status == 200


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", 200), ("GET", 204), ("GET", 304)],
    ids=["head", "no content", "not modified"],
)
async def test_a_reply_without_a_body_ends_with_its_head(method, status):
    async with FakeUpstream().reply(status, body=b"") as upstream, RawClient(upstream.url) as client:
        for _ in range(2):
            reply = await client.exchange(GET.replace(b"GET", method.encode()))

            assert (reply.status, reply.body) == (status, b"")


@pytest.mark.parametrize("wrong", [b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"200 OK\r\n\r\n"])
async def test_a_wrong_status_line_is_refused(wrong):
    async with FakeUpstream().raw(wrong) as upstream, RawClient(upstream.url) as client:
        with pytest.raises(WireFault, match="is no status line"):
            await client.exchange(GET)


async def test_a_reply_cut_short_is_no_reply():
    answers = FakeUpstream().raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").raw()
    async with answers as upstream, RawClient(upstream.url) as first, RawClient(upstream.url) as second:
        with pytest.raises(CutShort, match="inside the body, after 3 bytes"):
            await first.exchange(GET)
        with pytest.raises(CutShort, match="inside the head, after 0 bytes"):
            await second.exchange(GET)


async def test_bytes_are_read_as_they_are():
    async with (
        FakeUpstream().stream([b"data: 1\n\n", b"data: 2\n\n"]) as upstream,
        RawClient(upstream.url) as client,
    ):
        await client.send(GET)

        assert (await client.read_until(b"\n\n")).endswith(b"9\r\ndata: 1\n\n")
        assert (await client.read_some(2)) == b"\r\n"
        await client.close()


async def test_a_reset_is_seen_as_one():
    seen = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        try:
            await reader.read()
        except ConnectionResetError as fault:
            seen.set_result(fault)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with RawClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        await client.send(b"x")
        client.reset()

        assert isinstance(await asyncio.wait_for(seen, 5), ConnectionResetError)
    server.close()


async def test_a_silent_server_is_not_waited_for_without_end():
    async with FakeUpstream().stall() as upstream, RawClient(upstream.url, timeout=0.05) as client:
        with pytest.raises(TimeoutError):
            await client.exchange(GET)


async def test_unix_sockets_and_tls_are_spoken(tmp_path):
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "s")
    async with RawClient(f"unix:{tmp_path / 's'}") as client:
        assert (await client.exchange(GET)).status == 200
    server.close()
    async with FakeUpstream(tls=serving).reply() as upstream, RawClient(upstream.url, tls=trusting) as client:
        assert (await client.exchange(GET)).status == 200
        assert upstream.url.startswith("https://")
