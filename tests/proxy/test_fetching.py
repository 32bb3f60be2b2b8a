import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager

import aiohappyeyeballs
import pytest
import trustme

from llmproxy import dialing
from llmproxy.errors import BadRequest
from llmproxy.fetching import UnreachableUrl, fetch_public, system_names
from llmproxy.fetchpolicy import FetchingConfig, FetchPolicy

from .talking import serving

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
HERE = "127.0.0.2"


def policy(port, **config):
    return FetchPolicy(FetchingConfig(ports=(port, 443), allow=(f"{HERE}/32",), **config))


def answer(body=PNG, status="200 OK", **fields):
    fields = {"Content-Type": "image/png", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in fields.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def site(*answers, tls=None):
    """Serve one answer a connection, the last one again and again; give the port and the requests seen."""
    seen = []

    async def talk(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[min(len(seen), len(answers)) - 1])
        await writer.drain()

    async with serving(talk, tls, host=HERE) as port:
        yield port, seen


async def fetch(url, port, **options):
    options = {"limit": 1000, "timeout": 5.0, "media_types": ("image/*",), "policy": policy(port)} | options
    return await fetch_public(url, **options)


def names(*answers):
    """Make a resolver that changes its answer each time it is asked."""
    left = list(answers)

    async def resolve(host, port):
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def test_a_picture_is_fetched_with_nothing_of_the_gateway():
    async with site(answer()) as (port, seen):
        fetched = await fetch(f"http://{HERE}:{port}/a b.png?x=ä&y=[1]#part".replace(" ", "%20"), port)

    assert fetched == ("image/png", PNG)
    [request] = seen
    assert request.startswith(b"GET /a%20b.png?x=%C3%A4&y=[1] HTTP/1.1\r\n")
    assert {line.partition(b":")[0].lower() for line in request.split(b"\r\n")[1:] if line} == {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"connection",
    }


async def test_a_name_is_looked_up_once_and_its_address_is_what_is_connected_to():
    async with site(answer()) as (port, seen):
        resolve = names([HERE], ["127.0.0.1"])
        fetched = await fetch(f"http://Pictures.Example.:{port}/", port, resolve=resolve)

    assert fetched.data == PNG
    assert b"Host: pictures.example:%d\r\n" % port in seen[0]


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], [HERE, "10.0.0.1"], ["::1", HERE], ["fe80::1%2"], [], ["nonsense"]]
)
async def test_a_name_with_one_address_that_is_not_public_is_refused(found):
    async with site(answer()) as (port, seen):
        with pytest.raises(UnreachableUrl, match="does not lead to a public address"):
            await fetch(f"http://pictures.example:{port}/", port, resolve=names(found))

    assert seen == []


async def test_a_name_without_an_answer_is_told_as_a_refused_one():
    async def resolve(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.raises(UnreachableUrl, match=r"inner\.example does not lead to a public address"):
        await fetch("https://inner.example/", 443, resolve=resolve)


async def test_a_peer_that_is_not_the_judged_address_gets_no_byte(monkeypatch):
    got = []

    async def talk(reader, writer):
        got.append(await reader.read(100))

    async with serving(talk) as port:
        await_connection = aiohappyeyeballs.start_connection

        async def elsewhere(peers, **options):
            return await await_connection([(*peers[0][:4], ("127.0.0.1", port))], **options)

        monkeypatch.setattr(aiohappyeyeballs, "start_connection", elsewhere)
        with pytest.raises(UnreachableUrl, match="public address"):
            await fetch(f"http://{HERE}:{port}/", port)
        await asyncio.sleep(0.01)

    assert got in ([], [b""])


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
async def test_redirects_are_followed_relative_ones_too(status):
    async with site(answer(b"", status, Location="/next?\u00fc"), answer()) as (port, seen):
        fetched = await fetch(f"http://{HERE}:{port}/first", port)

    assert fetched.data == PNG
    assert [request.split()[1] for request in seen] == [b"/first", b"/next?%C3%BC"]


async def test_more_redirects_than_agreed_are_refused():
    async with site(answer(b"", "302 Found", Location="/again")) as (port, seen):
        with pytest.raises(UnreachableUrl, match="more than 3 times"):
            await fetch(f"http://{HERE}:{port}/", port)

    assert len(seen) == 4


async def test_a_redirect_is_judged_as_the_first_url_was():
    async with site(answer(b"", "302 Found", Location="http://10.0.0.1/")) as (port, _):
        with pytest.raises(UnreachableUrl, match="port 80"):
            await fetch(f"http://{HERE}:{port}/", port)
        wider = FetchPolicy(FetchingConfig(ports=(port, 80), allow=(HERE,)))
        with pytest.raises(UnreachableUrl, match=r"10\.0\.0\.1 does not lead"):
            await fetch(f"http://{HERE}:{port}/", port, policy=wider)


@pytest.fixture
def trusted(monkeypatch):
    authority = trustme.CA()
    client, server = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(client)
    authority.issue_cert("pictures.example").configure_cert(server)
    monkeypatch.setattr(dialing, "client_context", lambda tls: client)
    return server


async def test_tls_proves_the_name_though_the_address_is_connected_to(trusted):
    async with site(answer(), tls=trusted) as (port, _):
        url = f"https://pictures.example:{port}/"

        assert (await fetch(url, port, resolve=names([HERE]))).data == PNG
        with pytest.raises(UnreachableUrl, match="No TLS connection to other"):
            await fetch(url.replace("pictures", "other"), port, resolve=names([HERE]))


async def test_a_redirect_from_https_to_http_is_refused(trusted):
    async with site(answer(b"", "302 Found", Location=f"http://{HERE}:443/"), tls=trusted) as (port, _):
        with pytest.raises(UnreachableUrl, match="leads from https to http"):
            await fetch(f"https://pictures.example:{port}/", port, resolve=names([HERE]))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "only http and https"),
        ("file:///etc/passwd", "cannot be read"),
        ("data:image/png;base64,AAAA", "cannot be read"),
        ("gopher://example.com/_x", "only http"),
        ("//example.com/", "only http"),
        ("example.com", "cannot be read"),
        ("", "cannot be read"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://example.com\\@10.0.0.1/", "backslash"),
        ("http://example.com/\r\nX: y", "control character"),
        (" http://example.com/", "a space"),
        ("http://example.com/" + "a" * 9000, "too long"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:99999/", "cannot be read"),
        ("http://exa%6dple.com/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://[v1.a]/", "cannot be read"),
        ("http://" + "a" * 300 + ".com/", "cannot be read"),
    ],
)
async def test_a_url_of_another_kind_is_refused(url, why):
    with pytest.raises(UnreachableUrl, match=why):
        await fetch_public(url, limit=10, timeout=1, media_types=("image/*",), resolve=names(["127.0.0.1"]))


async def test_schemes_can_be_narrowed():
    narrow = FetchPolicy(FetchingConfig(schemes=("https",)))

    with pytest.raises(UnreachableUrl, match="only https are"):
        await fetch("http://example.com/", 80, policy=narrow)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(status="404 Not Found"), "answered 404"),
        (answer(b"", "302 Found"), "answered 302"),
        (answer(PNG + b"\0" * 1000), "larger than 1000 bytes"),
        (answer(PNG + b"\0" * 1000, Content_Length=None), "larger than 1000 bytes"),
        (answer(Content_Length="99999999999999999999"), "larger than|whole HTTP"),
        (answer(Content_Length="60"), "whole HTTP reply"),
        (answer(Content_Encoding="gzip"), "compressed"),
        (answer(Content_Type="text/html"), r"is not one of image/\*"),
        (answer(b"<html>", Content_Type="image/png"), "is not one of"),
        (answer(b"%PDF-1.7", Content_Type="image/png"), "is not one of"),
        (answer(b""), "is not one of"),
        (b"nonsense\r\n\r\n", "whole HTTP reply"),
        (b"", "whole HTTP reply"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "whole HTTP reply"),
    ],
)
async def test_an_answer_that_is_not_a_bounded_picture_is_refused(reply, why):
    async with site(reply) as (port, _):
        with pytest.raises(UnreachableUrl, match=why):
            await fetch(f"http://{HERE}:{port}/", port)


@pytest.mark.parametrize("declared", ["image/jpg", "application/octet-stream", "IMAGE/PNG; q=1", ""])
async def test_a_pictures_type_is_that_of_its_bytes(declared):
    async with site(answer(Content_Type=declared)) as (port, _):
        fetched = await fetch(f"http://{HERE}:{port}/", port)

    assert fetched.media_type == "image/png"


async def test_an_answer_that_comes_in_pieces_is_put_together():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in PNG)
    async with site(head + pieces + b"0\r\n\r\n") as (port, _):
        fetched = await fetch(f"http://{HERE}:{port}/", port)

    assert fetched.data == PNG


async def test_text_is_of_the_type_that_its_server_says():
    async with site(answer(b"hello", Content_Type="text/plain; charset=utf-8")) as (port, _):
        fetched = await fetch(f"http://{HERE}:{port}/", port, media_types=("text/plain",))

    assert fetched == ("text/plain", b"hello")


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", answer()[:-4]])
async def test_one_deadline_bounds_it_all(start):
    async def talk(reader, writer):
        writer.write(start)
        await asyncio.sleep(60)

    async with serving(talk, host=HERE) as port:
        with pytest.raises(UnreachableUrl, match=r"longer than 0\.2 s"):
            await fetch(f"http://{HERE}:{port}/", port, timeout=0.2)


async def test_a_host_that_refuses_connections_is_told_so():
    async with site(answer()) as (port, _):
        pass
    with pytest.raises(UnreachableUrl, match="cannot be reached"):
        await fetch(f"http://{HERE}:{port}/", port)


async def test_an_error_names_no_more_than_the_host():
    async with site(answer(status="403 Forbidden")) as (port, _):
        with pytest.raises(BadRequest) as fault:
            await fetch(f"http://{HERE}:{port}/inner/path?signature=hush", port)

    assert fault.value.code == "unreachable_url"
    assert fault.value.status == 400
    assert "inner" not in str(fault.value)
    assert "hush" not in str(fault.value)


async def test_names_whose_servers_do_not_answer_leave_the_loops_own_threads_alone(monkeypatch):
    answers = threading.Event()

    def waiting(host, port, **options):
        answers.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", waiting)
    lookups = [asyncio.create_task(system_names(f"{number}.example", 443)) for number in range(100)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(int, "1") == 1
    finally:
        answers.set()
        failed = await asyncio.gather(*lookups, return_exceptions=True)

    assert {type(fault) for fault in failed} == {socket.gaierror}
