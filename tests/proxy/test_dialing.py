import asyncio
import base64
import datetime
import socket
import ssl

import pytest
import trustme
import uvloop

from llmproxy.config import UpstreamConfig
from llmproxy.dialing import Dialer, Names, choose_proxy, client_context
from llmproxy.errors import StartError, UpstreamError
from llmproxy.settings import UpstreamTls
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, FaultProxy, Judge

from .talking import serving

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


class Peer(asyncio.Protocol):
    """What a dialer opens in these tests."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        self.lost.set_result(exc)

    async def get(self, host="h"):
        """Ask and return what comes until the upstream closes."""
        self.transport.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(5):
            await self.lost
        return bytes(self.data)


def make_dialer(url, *, environ=None, proxy=None, **options):
    proxy = "env" if environ is not None else proxy
    return Dialer(UpstreamConfig(base_url=url, proxy=proxy, **options), environ or {})


async def answer(dialer):
    peer = await dialer.open(Peer)
    try:
        return await peer.get()
    finally:
        peer.transport.abort()


async def fault_of(dialer):
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(5):
            await dialer.open(Peer)
    assert not caught.value.sent
    return caught.value


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    authority.file = str(tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.cert_pem.write_to_path(authority.file)
    return authority


def serving_context(authority, *names, **options):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def local_tls(authority):
    return serving_context(authority, "127.0.0.1", "localhost", "api.example")


async def upstream_says_hello(tls=None):
    return FakeUpstream(tls=tls).reply(body=b"hello", then="close")


async def test_a_plain_upstream_is_reached():
    async with await upstream_says_hello() as upstream:
        assert (await answer(make_dialer(upstream.url))).endswith(b"hello")


async def test_an_authority_of_ones_own_is_trusted_and_only_that(local_tls, authority):
    async with await upstream_says_hello(local_tls) as upstream:
        tls = UpstreamTls(ca=authority.file)

        assert (await answer(make_dialer(upstream.url, tls=tls))).endswith(b"hello")
        fault = await fault_of(make_dialer(upstream.url))
        assert (fault.code, fault.phase, fault.status) == ("upstream_tls_error", "tls", 502)
        assert "certificate is not accepted" in fault.message


async def test_verification_can_be_switched_off(local_tls):
    async with await upstream_says_hello(local_tls) as upstream:
        dialer = make_dialer(upstream.url, tls=UpstreamTls(verify=False))

        assert (await answer(dialer)).endswith(b"hello")


async def test_a_certificate_for_another_host_is_refused_unless_that_name_is_meant(authority):
    async with await upstream_says_hello(serving_context(authority, "api.example")) as upstream:
        fault = await fault_of(make_dialer(upstream.url, tls=UpstreamTls(ca=authority.file)))
        named = UpstreamTls(ca=authority.file, server_name="api.example")

        assert "not valid for '127.0.0.1'" in fault.message
        assert (await answer(make_dialer(upstream.url, tls=named))).endswith(b"hello")


async def test_the_server_name_is_sent(local_tls, authority):
    asked = []
    local_tls.sni_callback = lambda _, name, __: asked.append(name)
    async with await upstream_says_hello(local_tls) as upstream:
        named = UpstreamTls(ca=authority.file, server_name="api.example")
        await answer(make_dialer(upstream.url, tls=named))
        await answer(make_dialer(upstream.url.replace("127.0.0.1", "localhost"), tls=named))
    local_tls.sni_callback = None

    assert asked == ["api.example", "api.example"]


async def test_an_expired_certificate_is_refused(authority):
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    tls = serving_context(
        authority, "127.0.0.1", not_before=past - datetime.timedelta(days=1), not_after=past
    )
    async with await upstream_says_hello(tls) as upstream:
        fault = await fault_of(make_dialer(upstream.url, tls=UpstreamTls(ca=authority.file)))

        assert "expired" in fault.message


async def test_a_client_certificate_is_shown(authority, tmp_path):
    mine = authority.issue_cert("client@example.com")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    mine.cert_chain_pems[0].write_to_path(certificate)
    mine.private_key_pem.write_to_path(key)
    demanding = serving_context(authority, "127.0.0.1")
    demanding.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(demanding)
    async with await upstream_says_hello(demanding) as upstream:
        tls = UpstreamTls(ca=authority.file, certificate=str(certificate), key=str(key))

        assert (await answer(make_dialer(upstream.url, tls=tls))).endswith(b"hello")
        assert await answer(make_dialer(upstream.url, tls=UpstreamTls(ca=authority.file))) == b""


async def test_only_http_1_1_is_offered(local_tls, authority):
    local_tls.set_alpn_protocols(["h2", "http/1.1"])
    async with await upstream_says_hello(local_tls) as upstream:
        peer = await make_dialer(upstream.url, tls=UpstreamTls(ca=authority.file)).open(Peer)

        assert peer.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await peer.get()


async def test_an_upstream_without_tls_fails_the_handshake():
    async def complain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with serving(complain) as port:
        fault = await fault_of(make_dialer(f"https://127.0.0.1:{port}"))

        assert (fault.code, fault.phase) == ("upstream_tls_error", "tls")


def test_what_needs_no_file_shares_one_context():
    assert client_context(None) is client_context(UpstreamTls(server_name="other"))
    assert client_context(None).verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "not PEM"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, missing):
    path = str(tmp_path / "file.pem")
    if not missing:
        (tmp_path / "file.pem").write_text("nothing of the sort")

    with pytest.raises(StartError, match=r"file\.pem"):
        client_context(UpstreamTls(ca=path))
    with pytest.raises(StartError, match=r"file\.pem"):
        client_context(UpstreamTls(certificate=path, key=path))


async def closes_when_cancelled(dialer, line):
    """Cancel once the line is accepted; it must be closed at once."""
    opening = spawn(dialer.open(Peer), name="opening")
    async with asyncio.timeout(5):
        while not line.links:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    opening.cancel()
    await asyncio.wait([opening])

    assert opening.cancelled()
    await line.closed(1, within=0.25)


async def test_a_handshake_that_is_never_answered_is_closed_when_cancelled(authority):
    async with FaultProxy(1) as line:
        line.mute()

        await closes_when_cancelled(make_dialer(f"https://127.0.0.1:{line.port}"), line)


async def test_a_handshake_that_stops_half_way_is_closed_when_cancelled(local_tls, authority):
    async with await upstream_says_hello(local_tls) as upstream, FaultProxy(upstream.port) as line:
        line.stall(at=100)
        dialer = make_dialer(f"https://127.0.0.1:{line.port}", tls=UpstreamTls(ca=authority.file))

        await closes_when_cancelled(dialer, line)


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_handshake_that_is_cut_fails(local_tls, authority, how):
    async with await upstream_says_hello(local_tls) as upstream, FaultProxy(upstream.port) as line:
        getattr(line, how)(at=100)
        fault = await fault_of(
            make_dialer(f"https://127.0.0.1:{line.port}", tls=UpstreamTls(ca=authority.file))
        )

        assert (fault.phase, fault.message) == ("tls", "The TLS handshake with the upstream failed.")


async def test_a_connection_that_is_not_accepted_can_be_cancelled():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await make_dialer(f"http://127.0.0.1:{port}").open(Peer)


async def test_a_port_that_nobody_listens_on_is_refused():
    fault = await fault_of(make_dialer("http://127.0.0.1:1"))

    assert (fault.code, fault.phase, fault.status) == ("upstream_unreachable", "connect", 502)
    assert "refuses" in fault.message


# Names


class Resolver:
    """Stands in for the loop's look-ups."""

    def __init__(self, monkeypatch, *answers) -> None:
        self.answers = list(answers)
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()
        loop = asyncio.get_running_loop()
        self.real = loop.getaddrinfo
        monkeypatch.setattr(loop, "getaddrinfo", self.look_up)

    async def look_up(self, host, port, **options):
        if host in {"127.0.0.1", "::1"}:  # uvloop looks up what it connects to
            return await self.real(host, port, **options)
        self.asked.append(host)
        await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port))
            for address in answer
        ]


def addresses(found):
    return [entry[4][0] for entry in found]


async def test_an_answer_is_kept_for_its_time(monkeypatch):
    resolver = Resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    names = Names(0.05)

    assert addresses(await names.resolve("a.example", 80)) == ["127.0.0.1"]
    assert addresses(await names.resolve("a.example", 80)) == ["127.0.0.1"]
    await asyncio.sleep(0.06)
    assert addresses(await names.resolve("a.example", 80)) == ["127.0.0.2"]
    assert len(resolver.asked) == 2


async def test_many_who_ask_at_once_share_a_look_up_and_one_may_leave(monkeypatch):
    resolver = Resolver(monkeypatch, ["127.0.0.1"])
    resolver.gate.clear()
    names = Names(30)
    asking = [spawn(names.resolve("a.example", 80), name="asking") for _ in range(5)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    resolver.gate.set()

    assert [addresses(await each) for each in asking[1:]] == [["127.0.0.1"]] * 4
    assert len(resolver.asked) == 1


async def test_the_last_answer_serves_while_look_ups_fail(monkeypatch):
    failure = socket.gaierror(socket.EAI_AGAIN, "try again")
    resolver = Resolver(monkeypatch, ["127.0.0.1"], failure, failure, ["127.0.0.2"])
    names = Names(0.01)
    found = []
    for _ in range(4):
        found += addresses(await names.resolve("a.example", 80))
        await asyncio.sleep(0.02)

    assert found == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"]
    assert len(resolver.asked) == 4


async def test_a_name_that_never_had_an_answer_is_asked_for_again(monkeypatch):
    resolver = Resolver(monkeypatch, socket.gaierror(socket.EAI_NONAME, "unknown"), ["127.0.0.1"])
    names = Names(30)

    with pytest.raises(OSError, match="unknown"):
        await names.resolve("a.example", 80)
    assert addresses(await names.resolve("a.example", 80)) == ["127.0.0.1"]
    assert len(resolver.asked) == 2


@pytest.mark.parametrize("fault", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")], ids=repr)
async def test_a_name_that_cannot_be_resolved_is_told_as_such(monkeypatch, fault):
    Resolver(monkeypatch, fault)
    fault = await fault_of(make_dialer("http://a.example"))

    assert (fault.code, fault.phase) == ("upstream_unreachable", "connect")
    assert "name cannot be resolved" in fault.message


@pytest.mark.parametrize(
    "found", [["::1", "127.0.0.1"], ["127.0.0.1", "::1"]], ids=["six first", "four first"]
)
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_either_family_will_do(monkeypatch, found, host):
    async def hello(reader, writer):
        writer.write(b"hello")
        await reader.readuntil(b"\r\n\r\n")
        await writer.drain()

    async with serving(hello, host=host) as port:
        Resolver(monkeypatch, found)

        assert await answer(make_dialer(f"http://both.example:{port}")) == b"hello"


# Proxies


class Proxy:
    """An HTTP proxy: opens tunnels, or answers what is asked in absolute form."""

    def __init__(self, answer=b"HTTP/1.1 200 Go\r\n\r\n") -> None:
        self.answer = answer
        self.heads = []

    async def talk(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        writer.write(self.answer)
        method, target, _ = head.split(b" ", 2)
        if method != b"CONNECT" or b" 200 " not in self.answer:
            await writer.drain()
            return
        host, _, port = target.decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, far_writer))
                await pump(far_reader, writer)
        finally:
            far_writer.transport.abort()


async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_https_upstream_is_reached_through_a_tunnel(local_tls, authority, scheme, monkeypatch):
    trusting = ssl.create_default_context(cafile=authority.file)
    monkeypatch.setattr("llmproxy.dialing._default_context", lambda: trusting)
    proxy = Proxy()
    outer = local_tls if scheme == "https" else None
    async with await upstream_says_hello(local_tls) as upstream, serving(proxy.talk, outer) as port:
        url = f"{scheme}://user:p%40ss@127.0.0.1:{port}"
        dialer = make_dialer(upstream.url, proxy=url, tls=UpstreamTls(ca=authority.file))

        assert (await answer(dialer)).endswith(b"hello")
        assert not dialer.absolute_form
        credentials = base64.b64encode(b"user:p@ss")
        authority_form = f"127.0.0.1:{upstream.port}".encode()
        assert proxy.heads == [
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic %b\r\n\r\n"
            % (authority_form, authority_form, credentials)
        ]


async def test_a_plain_upstream_is_asked_for_by_absolute_form():
    proxy = Proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with serving(proxy.talk) as port:
        dialer = make_dialer("http://api.example:8080/v1", proxy=f"http://127.0.0.1:{port}")

        assert dialer.absolute_form
        assert dialer.proxy_authorization() is None
        assert (await answer(dialer)).endswith(b"ok")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", "(407)"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", "(502)"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 Go\r\n\r\nearly bytes", "(200)"),
        (b"HTTP/1.1 200", "closed the connection"),
        (b"HTTP/1.1 200 Go\r\nX: " + b"x" * 20000, "(200)"),
    ],
    ids=["auth", "bad gateway", "no http", "too much", "too little", "too long"],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_as_such(said, told):
    async with serving(Proxy(said).talk) as port:
        dialer = make_dialer("https://api.example", proxy=f"http://user:secret@127.0.0.1:{port}")
        fault = await fault_of(dialer)

        assert (fault.code, fault.phase) == ("upstream_unreachable", "connect")
        assert told in fault.message
        assert "secret" not in f"{fault!r} {dialer!r} {fault.__cause__!r}"


async def test_an_untrusted_proxy_is_not_taken_for_the_upstream(local_tls):
    async with serving(Proxy().talk, local_tls) as port:
        fault = await fault_of(make_dialer("https://api.example", proxy=f"https://127.0.0.1:{port}"))

        assert fault.message.startswith("The proxy's certificate is not accepted")


async def test_an_untrusted_upstream_is_refused_in_the_tunnel_too(local_tls):
    async with await upstream_says_hello(local_tls) as upstream, serving(Proxy().talk) as port:
        fault = await fault_of(make_dialer(upstream.url, proxy=f"http://127.0.0.1:{port}"))

        assert fault.message.startswith("The upstream's certificate is not accepted")


async def test_a_proxy_that_refuses_connections_is_told_as_such():
    fault = await fault_of(make_dialer("https://api.example", proxy="http://127.0.0.1:1"))

    assert "The proxy cannot be reached" in fault.message


async def test_a_proxy_that_never_answers_is_closed_when_cancelled():
    async with FaultProxy(1) as line:
        line.mute()

        await closes_when_cancelled(make_dialer("https://api.example", proxy=line.url), line)


async def test_a_tunnelled_handshake_that_is_never_answered_is_closed_when_cancelled():
    async with FaultProxy(1) as silent, serving(Proxy().talk) as port, FaultProxy(port) as line:
        silent.mute()
        dialer = make_dialer(f"https://127.0.0.1:{silent.port}", proxy=line.url)

        await closes_when_cancelled(dialer, line)


ENVIRONMENT = {
    "HTTP_PROXY": "http://plain:1",
    "https_proxy": "http://lower:2",
    "HTTPS_PROXY": "http://upper:3",
    "NO_PROXY": "internal.example, .corp.example ,127.0.0.1",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://api.example", "http://plain:1"),
        ("https://api.example", "http://lower:2"),
        ("https://internal.example", None),
        ("https://internal.example:8443/v1", None),
        ("https://a.corp.example", None),
        ("https://corp.example.org", "http://lower:2"),
        ("http://127.0.0.1:8000", None),
    ],
)
def test_the_environment_names_a_proxy_unless_no_proxy_names_the_host(url, proxy):
    assert choose_proxy(UpstreamConfig(base_url=url), ENVIRONMENT) == proxy


def test_the_environment_counts_only_when_nothing_else_is_said():
    own = UpstreamConfig(base_url="https://api.example", proxy="http://own:1")
    none = UpstreamConfig(base_url="https://api.example", proxy=None)

    assert choose_proxy(own, ENVIRONMENT) == "http://own:1"
    assert choose_proxy(none, ENVIRONMENT) is None
    assert choose_proxy(UpstreamConfig(base_url="https://api.example"), {}) is None


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"HTTPS_PROXY": "bare:3128"}, "http://bare:3128"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "http://upper:1", "NO_PROXY": "*"}, None),
    ],
)
def test_the_environment_is_read_as_others_read_it(environ, proxy):
    assert choose_proxy(UpstreamConfig(base_url="https://api.example"), environ) == proxy


@pytest.mark.parametrize("url", ["socks5://me:secret@host:1080", "http://me:secret@host:port", "http://:1"])
def test_a_proxy_that_is_not_spoken_is_refused_without_its_password(url):
    with pytest.raises(StartError, match="'HTTPS_PROXY' or 'ALL_PROXY'") as caught:
        choose_proxy(UpstreamConfig(base_url="https://api.example"), {"ALL_PROXY": url})

    assert "secret" not in str(caught.value)


async def test_a_host_in_another_script_is_asked_for_in_ascii():
    assert make_dialer("https://b\u00fccher.example").host == "xn--bcher-kva.example"


async def test_the_judge_sees_a_connection_closed_as_soon_as_its_owner_goes():
    async with Judge() as judge:
        peer = await make_dialer(judge.url).open(Peer)
        peer.transport.abort()
        async with asyncio.timeout(0.25):
            while judge.open or not judge.totals.closed:
                await judge.change()

        assert judge.totals.opened == 1


async def test_one_that_goes_elsewhere_goes_through_no_proxy():
    dialer = Dialer(UpstreamConfig(base_url="http://backend.test:81", proxy="http://u:p@127.0.0.1:9"), {})
    other = dialer.towards("10.0.0.1", 82)

    assert (other.host, other.port, other.server_name) == ("10.0.0.1", 82, "backend.test")
    assert not other.absolute_form
    assert other.proxy_authorization() is None
    assert (dialer.host, dialer.port, dialer.absolute_form) == ("backend.test", 81, True)


async def test_an_upstream_may_listen_on_a_unix_socket(tmp_path, monkeypatch):
    path = str(tmp_path / "s")

    async def greet(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_unix_server(greet, path):
        environ = {"http_proxy": "http://127.0.0.1:9"}
        dialer = make_dialer("http://localhost/v1", environ=environ, socket=path)
        assert (await answer(dialer)).endswith(b"hello")
        assert dialer.towards("127.0.0.1", 1)._socket is None


async def test_a_unix_socket_that_nobody_listens_on_is_told_as_such(tmp_path):
    dialer = make_dialer("http://localhost", socket=str(tmp_path / "s"))
    with pytest.raises(UpstreamError, match="Nobody listens on its socket") as refused:
        await dialer.open(Peer)

    assert (refused.value.phase, refused.value.sent) == ("connect", False)
