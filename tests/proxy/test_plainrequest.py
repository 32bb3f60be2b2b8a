"""Plain requests: whatever is taken, aiohttp's parser reads alike; whatever is rare is declined."""

import asyncio

import pytest
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from llmproxy.plainrequest import PlainReader

LIMIT = 16384
GET = b"GET /x?y=1 HTTP/1.1\r\nHost: gateway\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


class Protocol(asyncio.Protocol):
    """What aiohttp's parser asks of its connection."""

    _reading_paused = False

    def resume_reading(self, resume_parser=True):
        """Nothing is paused."""

    def pause_reading(self):
        """Nothing is paused."""


def by_aiohttp(data):
    """Return the messages that aiohttp's parser finds, and the parser."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(
            Protocol(),
            loop,
            1 << 20,
            max_line_size=LIMIT,
            max_field_size=LIMIT,
            max_headers=128,
            auto_decompress=False,
        )
        messages, upgraded, _ = parser.feed_data(data)
    finally:
        loop.close()
    return list(messages), upgraded, parser


def body_of(payload):
    return b"".join(getattr(payload, "_buffer", ()))


def told(request):
    """Return all that a request says, however it was read."""
    if request is None:
        return None
    return (
        request.method,
        request.path,
        request.headers.raw,
        request.headers.index,
        request.body,
        request.missing,
    )


def check(data):
    """Whatever is taken must be one message of aiohttp's parser, and the rest of its body be counted right."""
    reader = PlainReader(LIMIT)
    request, again = reader.read(data), reader.read(data)

    assert told(request) == told(again)
    if request is None:
        return None
    messages, upgraded, parser = by_aiohttp(data)

    ((message, payload),) = messages
    assert (upgraded, message.upgrade, message.chunked, message.should_close) == (False,) * 4
    assert (message.method, message.path, message.version) == (request.method, request.path, (1, 1))
    assert list(message.raw_headers) == request.headers.raw
    assert (body_of(payload), payload.is_eof()) == (request.body, request.missing == 0)
    if request.missing and request.missing < 1 << 16:
        parser.feed_data(b"x" * (request.missing - 1))

        assert not payload.is_eof()

        parser.feed_data(b"x")

        assert payload.is_eof()
        assert len(parser.feed_data(GET)[0]) == 1
    return request


FIELDS = [
    b"Host: gateway",
    b"Host:gateway",
    b"host: other",
    b"Host : gateway",
    b"Content-Length: 5",
    b"content-length: 5 ",
    b"Content-Length: 0",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length: 0x5",
    b"Content-Length: 18446744073709551615",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Connection: Keep-Alive, X-A",
    b"Connection: upgrade",
    b"Proxy-Connection: close",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"X-A: \t b c \t",
    b"X-A:",
    b"X-A: ",
    b"X-A: b\r\n folded",
    b"X-A: b\rc",
    b"X-A: b\nc: d",
    b"X-A: \0",
    b"X-A: \x7f",
    b"X-A: \xc3\xa4",
    b"X A: b",
    b"X-A",
    b": b",
    b"Sec-WebSocket-Key1: x",
    b"Content-Type: text/plain",
    b"Content-Encoding: gzip",
    b"Cookie: a=b",
]
LINES = [
    b"GET / HTTP/1.1",
    b"POST /v1/chat?a=b#c HTTP/1.1",
    b"POST  / HTTP/1.1",
    b"GET //x/y HTTP/1.1",
    b"GET http://a/b HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT a:443 HTTP/1.1",
    b"CONNECT /x HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"HEAD / HTTP/1.0",
    b"GET / HTTP/1.1 ",
    b"GET /",
    b"GET /\xc3\xa4 HTTP/1.1",
    b"GET /\\x HTTP/1.1",
    b"get / HTTP/1.1",
    b"M-SEARCH / HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"PUT / ICE/1.1",
    b"\r\nGET / HTTP/1.1",
]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""]
BODIES = [
    b"",
    b"hello",
    b"hell",
    b"hello" + GET,
    b"\r\n",
    b"hello\r\n",
    b"hello\r",
    b"0\r\n\r\n",
    b"helloGE",
    b"hello\n",
]


@st.composite
def assembled(draw):
    """Bytes put together from what requests are made of, rightly or not."""
    lines = [draw(st.sampled_from(LINES)), *draw(st.lists(st.sampled_from(FIELDS), max_size=6)), b""]
    return b"".join(line + draw(st.sampled_from(ENDS)) for line in lines) + draw(st.sampled_from(BODIES))


@st.composite
def mutated(draw):
    """A plain request with some bytes changed, left out or put in."""
    data = bytearray(draw(st.sampled_from([GET, POST, POST + GET, CHUNKED])))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [
                    b"",
                    b" ",
                    b"\t",
                    b"\r",
                    b"\n",
                    b"\r\n",
                    b"\0",
                    b":",
                    b",",
                    b"1",
                    b"x",
                    b"\xff",
                    b"#",
                    b"\x0b",
                ]
            )
        )
    return bytes(data)


@given(st.one_of(assembled(), mutated()))
@example(POST + GET)
@example(GET + b"G")
@example(POST[:-2])
def test_what_is_taken_is_read_alike_by_aiohttp(data):
    check(data)


@given(st.lists(st.one_of(mutated(), st.sampled_from([GET, POST])), min_size=2, max_size=4))
def test_nothing_of_a_connection_is_left_for_the_next(sent):
    reader = PlainReader(LIMIT)
    found = [reader.read(data) for data in sent]

    for data, request in zip(sent, found, strict=True):
        alone = PlainReader(LIMIT).read(data)
        assert (request is None) == (alone is None)
        if request is not None:
            assert request.headers.raw == alone.headers.raw
            assert all(
                getattr(request, name) == getattr(alone, name)
                for name in ("method", "path", "body", "missing")
            )


@given(st.lists(st.sampled_from([GET, POST, POST.replace(b"hello", b"HELLO")]), min_size=1, max_size=4))
def test_one_after_the_other_is_taken(sent):
    reader = PlainReader(LIMIT)
    found = [reader.read(data) for data in sent]

    assert [(each.method, each.body, each.missing) for each in found] == [
        (data[: data.index(b" ")].decode(), data.partition(b"\r\n\r\n")[2], 0) for data in sent
    ]


@pytest.mark.parametrize(
    "data",
    [GET, POST, GET.replace(b"GET", b"HEAD"), POST.replace(b"Content", b"Connection: Keep-Alive\r\nContent")],
    ids=["get", "post", "head", "keep-alive"],
)
def test_programs_send_plain_requests(data):
    assert check(data) is not None


def test_a_field_without_a_value_and_white_space_around_one_are_read():
    request = check(GET.replace(b"\r\n\r\n", b"\r\nX-A:\r\nX-B: \t b c \t\r\n\r\n"))

    assert request.headers.raw[1:] == [(b"X-A", b""), (b"X-B", b"b c")]


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"Connection: close",
        b"Proxy-Connection: keep-alive",
        b"Host: twice",
        b"hOST: twice",
        b"X-Folded: a\r\n b",
    ],
)
def test_what_is_rare_is_declined(field):
    assert PlainReader(LIMIT).read(GET.replace(b"\r\n\r\n", b"\r\n%b\r\n\r\n" % field)) is None


@pytest.mark.parametrize(
    "data",
    [
        GET + b"\r\n",
        GET + b"\r",
        POST + b"\n",
        b"\r\n\r\n",
        b"\r\n\r\n" + GET,
        GET + GET,
        GET + b"G",
        POST + GET,
        GET[:-1],
        GET[:3],
        GET.replace(b"1.1", b"1.0"),
        GET.replace(b"/x", b"http://gateway/x"),
        GET.replace(b"Host", b"Most"),
        b"\r\n" + GET,
        CHUNKED,
    ],
)
def test_all_else_is_declined(data):
    assert PlainReader(LIMIT).read(data) is None


def test_a_head_beyond_the_limits_is_declined():
    many = b"".join(b"X-%d: y\r\n" % number for number in range(128))

    assert PlainReader(LIMIT).read(GET.replace(b"Host", many + b"Host")) is None
    assert PlainReader(64).read(GET.replace(b"/x", b"/" + b"x" * 64)) is None
    assert PlainReader(64).read(POST.replace(b"5", b"100") + b"x" * 95).body == b"hello" + b"x" * 95


def test_what_is_missing_of_a_body_is_told_and_the_next_request_read():
    reader = PlainReader(LIMIT)
    half = reader.read(POST[:-2])

    assert (half.body, half.missing) == (b"hel", 2)
    assert reader.read(POST).body == b"hello"


def test_a_head_that_came_before_is_read_with_the_body_that_comes_now():
    reader = PlainReader(LIMIT)
    first, second, part = reader.read(POST), reader.read(POST[:-5] + b"other"), reader.read(POST[:-3])

    assert (first.body, second.body) == (b"hello", b"other")
    assert (part.body, part.missing) == (b"he", 3)
    assert told(first)[:4] == told(second)[:4] == told(part)[:4]


def test_what_follows_a_head_that_came_before_is_declined_as_ever():
    reader = PlainReader(LIMIT)

    assert reader.read(POST) is not None
    assert reader.read(POST + GET) is None
    assert reader.read(POST + b"x") is None


def test_who_changes_the_headers_of_one_request_changes_no_other():
    reader = PlainReader(LIMIT)
    for _ in range(3):
        headers = reader.read(POST).headers

        assert headers.raw == [(b"Host", b"gateway"), (b"Content-Length", b"5")]
        headers.add("X-Changed", "1")
        headers.remove("Host")


def test_heads_are_remembered_in_bounded_number_and_length():
    reader = PlainReader(LIMIT)
    for number in range(2000):
        assert reader.read(b"GET /%d HTTP/1.1\r\nHost: gateway\r\n\r\n" % number).path == f"/{number}"
    assert reader.read(b"GET /%b HTTP/1.1\r\nHost: gateway\r\n\r\n" % (b"x" * 2000)) is not None

    assert len(reader._known) <= 256
    assert max(map(len, reader._known)) <= 1024
