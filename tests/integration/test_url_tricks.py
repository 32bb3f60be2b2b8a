"""Two hundred ways to make the gateway ask where only it can go; judged on what was connected to, not on what was said.

Loopback stands in for everything forbidden: servers listen on several of its addresses and note each connection. Beside
them an audit hook of the interpreter notes every address that any socket is connected to, so that a packet to a private
or link-local address of the machine's own network would be seen too.
"""

# ruff: noqa: RUF001  # letters that look like others are what this is about

import asyncio
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address

import pytest

from llmproxy.fetching import UnreachableUrl, fetch_public
from llmproxy.fetchpolicy import FetchingConfig, FetchPolicy

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40

# The one address that the tests' policy allows: where redirects start from, and what a rebinding name shows first.
OUTSIDE = "127.0.0.2"

LOOPBACK = """
127.0.0.1 127.0.0.1. 127.0.0.3 127.1 127.0.1 127.1. 2130706433 2130706433. 017700000001 0177.0.0.1 0177.1
0177.0.01 0x7f000001 0X7F000001 0x7f.1 0x7f.0.0.1 0x7f.0.1 0x7F.0x0.0x0.0x1 0x7f.0.01 0177.0x0.1 127.0x1
127.01 0x7f.00.0.0x01 127.0.0x1 00000177.0.0.1 0x000000007f.1 2130706435 127.0.0.0x3 127.3 0x7f000003
1２７.0.0.1 １２７．０．０．１ 127。0。0。1 127｡0｡0｡1 ①②⑦.⓪.⓪.① ①②⑦.1
２１３０７０６４３３ 𝟏𝟐𝟕.𝟎.𝟎.𝟏 0ｘ7f.1 ０x７f000001 [::1]
[0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1] [::ffff:127.0.0.1] [::FFFF:7F00:1] [0:0:0:0:0:ffff:127.0.0.1]
[::ffff:7f00:3] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1]
[64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1] [2001:0:7f00:1::]
[2001:0:4136:e378:8000:63bf:80ff:fffe] [::1%25lo] [::1%lo] [fe80::1] [fe80::1%25lo] [::] [::ffff:0.0.0.0]
[0::] 0.0.0.0 0 0x0 00 0.0 0.0.0 000.000.000.000 0x0.0x0 0.0.0.0. 0.0.0.1 0.1 localhost LOCALHOST localhost.
LocalHost loc%61lhost ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ loc\u00adalhost localhost.localdomain ip6-localhost ip6-loopback
127.0.0.1.nip.test spoofed.test mixed.test v6.test mapped.test nat64.test
"""

PRIVATE = """
10.0.0.1 10.1 10.0.1 167772161 0xa.1 0xa000001 012.1 012.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254
0xac100001 2886729729 192.168.0.1 192.168.1 192.168.257 3232235521 0xc0a80001 0300.0250.0.1 030052000001
100.64.0.1 100.127.255.254 100.100.100.200 169.254.169.254 169.254.43518 2852039166 0xa9fea9fe
0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 025177524776 169.0xfea9fe 169.254.170.2 169.254.0.1
１６９。２５４。１６９。２５４
169.254.169.254. metadata.test metadata.google.internal [fd00:ec2::254] [FD00:EC2:0:0:0:0:0:254]
[fd20:ce::254] [fd00:42::42] [fc00::1] [fdff::1] [fe80::a9fe:a9fe] [febf::1] [fec0::1]
[::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::169.254.169.254] [64:ff9b::169.254.169.254]
[64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [2002:a00:1::1] [2001:0:a9fe:a9fe::] [::ffff:10.0.0.1]
[::ffff:192.168.0.1] [64:ff9b::10.0.0.1] 192.0.0.192 192.0.0.1 168.63.129.16 198.18.0.1 198.19.255.254
192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
4294967295 0xffffffff 037777777777 [ff02::1] [ff05::2] [ff0e::1] [2001:db8::1] [3fff::1] [100::1]
[2001:10::1] [2001:2::1] [5f00::1] private.test cgnat.test ula.test
"""

# The whole URL is the trick; {} is the port on which the forbidden servers listen.
ODD = """
http://outside.test@127.0.0.1:{}/ http://outside.test:80@127.0.0.1:{}/ http://127.0.0.1:{}@outside.test/
http://@127.0.0.1:{}/ http://127.0.0.1:{}\\@outside.test/ http://outside.test\\@127.0.0.1:{}/
http:\\\\127.0.0.1:{}\\ http:/\\127.0.0.1:{}/ http:///127.0.0.1:{}/ http:127.0.0.1:{}/ http:/127.0.0.1:{}/
//127.0.0.1:{}/ HTTP://127.0.0.1:{}/ hTTp://0x7f.1:{}/ http://127.0.0.1:{}#@outside.test/
http://127.0.0.1:{}?@outside.test/ http://outside.test#@127.0.0.1:{}/ http://outside.test?@127.0.0.1:{}/
http://127.0.0.1%2f@outside.test:{}/ http://127.0.0.1%00.outside.test:{}/
http://127.0.0.1%0d%0aX:y@outside.test:{}/ http://%31%32%37.0.0.1:{}/ http://127%2e0%2e0%2e1:{}/
http://[127.0.0.1]:{}/ http://[::1]outside.test:{}/ http://outside.test[::1]:{}/ http://[::1:{}/
http://::1:{}/ http://[::1].:{}/ http://[0x7f.1]:{}/ http://127.0.0.1,outside.test:{}/
http://127.0.0.1;outside.test:{}/ http://127.0.0.1&outside.test:{}/ http://*:{}/ http://..127.0.0.1:{}/
http://127..1:{}/ http://127.0.0.1..:{}/ http://0x7f..1:{}/ http://0x7f.0.0.0x1:{}/ http://1.2.3.4.5:{}/
http://256.256.256.256:{}/ http://127.0.0.1:0{}/ http://127.0.0.1:+{}/ http://127.0.0.1:{}0/
http://127.0.0.1:-1/ http://127.0.0.1:/ gopher://127.0.0.1:{}/_GET dict://127.0.0.1:{}/x ftp://127.0.0.1:{}/
file://127.0.0.1:{}/etc/passwd ws://127.0.0.1:{}/ ldap://127.0.0.1:{}/ jar:http://127.0.0.1:{}/!/
blob:http://127.0.0.1:{}/ unix://127.0.0.1:{}/ netdoc://127.0.0.1:{}/ url:http://127.0.0.1:{}/
view-source:http://127.0.0.1:{}/ https://127.0.0.1:{}/ https://localhost:{}/ https://[::1]:{}/
https://metadata.test:{}/
"""

# Those with white space in them.
SPACED = [
    "http://127.0.0.1:{}\t/",
    "http://127.0\t.0.1:{}/",
    "ht\ntp://127.0.0.1:{}/",
    " http://127.0.0.1:{}/",
    "http:// 127.0.0.1:{}/",
    "http://127.0.0.1 :{}/",
    "http://127.0.0.1\r\nHost: x:{}/",
    "http://127.0.0.1 outside.test:{}/",
    "\x00http://127.0.0.1:{}/",
    "http://127.0.0.1\x00.outside.test:{}/",
]

# What a resolver says, each time it is asked; the last answer stays. It is of the worst kind: it lies when asked again.
NAMES = {
    "127.0.0.1.nip.test": [["127.0.0.1"]],
    "spoofed.test": [["127.0.0.3"]],
    "mixed.test": [[OUTSIDE, "127.0.0.1"]],
    "v6.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "nat64.test": [["64:ff9b::7f00:1"]],
    "metadata.test": [["169.254.169.254"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "private.test": [["10.0.0.1"]],
    "cgnat.test": [["100.64.0.1"]],
    "ula.test": [["fd00::1", "fd00:ec2::254"]],
    "outside.test": [[OUTSIDE]],
    "localhost.localdomain": [["127.0.0.1"]],
    "ip6-localhost": [["::1"]],
    "ip6-loopback": [["::1"]],
    "localhost": [["127.0.0.1", "::1"]],
}
REBINDING = {
    "to loopback": [[OUTSIDE], ["127.0.0.1"]],
    "to IPv6 loopback": [[OUTSIDE], ["::1"]],
    "to metadata": [[OUTSIDE], ["169.254.169.254"]],
    "to both": [[OUTSIDE], [OUTSIDE, "127.0.0.1"]],
    "at once": [["127.0.0.1"], [OUTSIDE]],
    "mixed at once": [["127.0.0.1", OUTSIDE]],
    "mapped": [["::ffff:127.0.0.1"], [OUTSIDE]],
    "back and forth": [[OUTSIDE], ["127.0.0.1"], [OUTSIDE], ["127.0.0.1"]],
}


class Watch:
    """Notes who was connected to: by the servers that stand for what is forbidden, and by every socket here."""

    def __init__(self):
        self.reached = []
        self.connected = []
        self.port = 0

    def audit(self, event, arguments):
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            self.connected.append(arguments[1][0])
            if not ip_address(arguments[1][0].partition("%")[0]).is_loopback:
                raise ConnectionRefusedError("a test leaves the machine")

    async def forbidden(self, reader, writer):
        self.reached.append(writer.get_extra_info("sockname")[0])
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG
        )
        writer.close()

    def wrongly_connected(self):
        return [peer for peer in self.connected if ip_address(peer) != ip_address(OUTSIDE)]


WATCHES = []
_HOOKED = []


def _audit(event, arguments):
    for watch in WATCHES:
        watch.audit(event, arguments)


@asynccontextmanager
async def watching():
    """Listen on what is forbidden, all on one port, and on the one address that is allowed."""
    if not _HOOKED:  # an audit hook stays for good
        _HOOKED.append(sys.addaudithook(_audit))
    watch = Watch()
    async with AsyncExitStack() as stack:
        first = await asyncio.start_server(watch.forbidden, "127.0.0.1", 0)
        watch.port = first.sockets[0].getsockname()[1]
        stack.callback(first.close)
        for host in ("127.0.0.3", "::1"):
            server = await asyncio.start_server(watch.forbidden, host, watch.port)
            stack.callback(server.close)
        WATCHES.append(watch)
        stack.callback(WATCHES.remove, watch)
        yield watch
        await asyncio.sleep(0.01)


@asynccontextmanager
async def outside(port, *locations):
    """Serve on the allowed address, same port: a redirect for each path `/0`, `/1`..., a picture for any other."""

    async def talk(reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        if path[1:].isdecimal() and int(path[1:]) < len(locations):
            location = locations[int(path[1:])].encode()
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG
            )
        writer.close()

    server = await asyncio.start_server(talk, OUTSIDE, port)
    try:
        yield
    finally:
        server.close()


def lying(names):
    """Make a resolver of what each name says, each time it is asked."""
    left = {name: list(answers) for name, answers in names.items()}

    async def resolve(host, port):
        answers = left.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    return resolve


async def fetch(url, port, *, allow=(OUTSIDE,), names=NAMES):
    config = FetchingConfig(ports=(port, 80, 443), allow=allow)
    return await fetch_public(
        url,
        limit=1000,
        timeout=5,
        media_types=("image/*",),
        policy=FetchPolicy(config),
        resolve=lying(names),
    )


def tricks(port):
    return [
        *(f"http://{host}:{port}/" for host in LOOPBACK.split()),
        *(f"http://{host}/latest/meta-data" for host in PRIVATE.split()),
        *(url.replace("{}", str(port)) for url in [*ODD.split(), *SPACED]),
    ]


def test_there_are_two_hundred_tricks():
    assert len(set(tricks(1))) >= 200


async def test_no_trick_reaches_a_forbidden_address():
    async with watching() as watch, outside(watch.port):
        went_through = []
        for url in tricks(watch.port):
            try:
                await fetch(url, watch.port)
            except UnreachableUrl:
                continue
            went_through.append(url)

    assert watch.reached == []
    assert watch.wrongly_connected() == []
    # A URL whose host is the allowed one may be fetched, whatever else it seems to say.
    assert all("://outside.test#" in url or "://outside.test?" in url for url in went_through), went_through


async def test_no_redirect_leads_to_a_forbidden_address():
    async with watching() as watch:
        targets = [url for url in tricks(watch.port) if url.isprintable()]
        chained = [f"http://{OUTSIDE}:{watch.port}/{place}" for place in range(len(targets))]
        # Each trick is first behind one redirect, then behind a second one.
        async with outside(watch.port, *targets, *chained):
            for place in range(len(targets) * 2):
                try:
                    await fetch(f"http://{OUTSIDE}:{watch.port}/{place}", watch.port)
                except UnreachableUrl:
                    continue

    assert watch.reached == []
    assert watch.wrongly_connected() == []
    assert watch.connected


@pytest.mark.parametrize("answers", REBINDING.values(), ids=REBINDING)
@pytest.mark.parametrize("hops", [0, 1, 2])
async def test_a_name_that_changes_its_answer_reaches_no_forbidden_address(answers, hops):
    async with watching() as watch:
        start = f"http://rebinding.test:{watch.port}"
        async with outside(watch.port, *[f"{start}/{hop + 1}" for hop in range(hops)]):
            with suppress(UnreachableUrl):
                await fetch(f"{start}/0", watch.port, names={"rebinding.test": answers})

    assert watch.reached == []
    assert watch.wrongly_connected() == []


async def test_without_the_guard_the_tricks_do_reach_what_is_forbidden():
    """What the others prove, they prove: the same loopback hosts arrive where a policy lets them."""
    async with watching() as watch:
        arrived = 0
        for host in LOOPBACK.split():
            try:
                await fetch(f"http://{host}:{watch.port}/", watch.port, allow=("0.0.0.0/0", "::/0"))
            except UnreachableUrl:
                continue
            arrived += 1

    assert arrived == len(watch.reached) > 50
    assert {"127.0.0.1", "127.0.0.3", "::1"} <= set(watch.reached)


async def test_the_allowed_address_is_reached():
    async with watching() as watch, outside(watch.port):
        fetched = await fetch(f"http://outside.test:{watch.port}/", watch.port)

    assert fetched == ("image/png", PNG)
    assert set(watch.connected) == {OUTSIDE}


async def test_the_systems_own_names_of_loopback_are_refused():
    async with watching() as watch:
        config = FetchPolicy(FetchingConfig(ports=(watch.port,)))
        for host in ("localhost", socket.gethostname(), "localhost."):
            with pytest.raises(UnreachableUrl):
                await fetch_public(
                    f"http://{host}:{watch.port}/",
                    limit=99,
                    timeout=5,
                    media_types=("image/*",),
                    policy=config,
                )

    assert watch.reached == []
    assert watch.connected == []
