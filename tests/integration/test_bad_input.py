"""Requests that are broken, hostile or slow: what each is told, and that nothing of them goes further."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, RunningGateway, running_gateway

# What callers may rely on. "-" as code: the request is served. The body is in the caller's dialect: OpenAI's shape
# under /v1/, RFC 9457 elsewhere; `code` is the same word in both.
DOCUMENTED = """
| request                                  | status | code                   | connection |
|------------------------------------------|--------|------------------------|------------|
| length and chunks                        | 400    | bad_request            | closed     |
| chunks and length                        | 400    | bad_request            | closed     |
| two transfer codings lines               | 400    | bad_request            | closed     |
| unknown transfer coding                  | 400    | bad_request            | closed     |
| chunked is not last                      | 400    | bad_request            | closed     |
| another coding before chunked            | 501    | transfer_coding        | closed     |
| space before the colon                   | 400    | bad_request            | closed     |
| control character before chunked         | 400    | bad_request            | closed     |
| two equal lengths                        | 400    | bad_request            | closed     |
| two different lengths                    | 400    | bad_request            | closed     |
| list of lengths                          | 400    | bad_request            | closed     |
| length with plus                         | 400    | bad_request            | closed     |
| length with minus                        | 400    | bad_request            | closed     |
| hexadecimal length                       | 400    | bad_request            | closed     |
| length with underscore                   | 400    | bad_request            | closed     |
| empty length                             | 400    | bad_request            | closed     |
| length beyond 64 bits                    | 400    | bad_request            | closed     |
| bare LF after every line                 | 400    | bad_request            | closed     |
| bare LF in the header                    | 400    | bad_request            | closed     |
| bare LF in the chunks                    | 400    | bad_request            | closed     |
| bare CR in a value                       | 400    | bad_request            | closed     |
| folded line                              | 400    | bad_request            | closed     |
| folded transfer coding                   | 400    | bad_request            | closed     |
| NUL in a value                           | 400    | bad_request            | closed     |
| NUL in a name                            | 400    | bad_request            | closed     |
| NUL in the target                        | 400    | bad_request            | closed     |
| chunk extension                          | 200    | -                      | kept       |
| LF in a chunk extension                  | 400    | bad_request            | closed     |
| chunk size that is no number             | 400    | bad_request            | closed     |
| chunk size with 0x                       | 400    | bad_request            | closed     |
| negative chunk size                      | 400    | bad_request            | closed     |
| chunk size beyond 64 bits                | 400    | bad_request            | closed     |
| chunk longer than its size               | 400    | bad_request            | closed     |
| broken chunk after a good one            | 400    | bad_body               | closed     |
| chunks in HTTP/1.0                       | 400    | bad_request            | closed     |
| header line without a colon              | 400    | bad_request            | closed     |
| credential under a broken name           | 400    | bad_request            | closed     |
| absolute target                          | 400    | bad_target             | kept       |
| CONNECT                                  | 400    | bad_target             | closed     |
| CONNECT to a path                        | 501    | method_refused         | closed     |
| TRACE                                    | 501    | method_refused         | closed     |
| asterisk                                 | 400    | bad_target             | kept       |
| fragment                                 | 400    | bad_target             | kept       |
| target that is not ASCII                 | 400    | bad_request            | closed     |
| two slashes first                        | 404    | unknown_route          | kept       |
| encoded dot segment                      | 400    | bad_path               | kept       |
| dot segment                              | 400    | bad_path               | kept       |
| dot segment with backslash               | 400    | bad_path               | kept       |
| long target                              | 431    | header_too_large       | closed     |
| huge header line                         | 431    | header_too_large       | closed     |
| many long header lines                   | 431    | header_too_large       | closed     |
| 129 header lines                         | 400    | bad_request            | closed     |
| HTTP/0.9                                 | 505    | http_version           | closed     |
| HTTP/2.0                                 | 505    | http_version           | closed     |
| HTTP/2 preface                           | 400    | bad_request            | closed     |
| TLS to a plain port                      | 400    | bad_request            | closed     |
| method in small letters                  | 400    | bad_request            | closed     |
| no Host                                  | 400    | bad_request            | closed     |
| two Hosts                                | 400    | bad_request            | closed     |
| Host with a space                        | 400    | bad_host               | kept       |
| slow header                              | 408    | header_timeout         | closed     |
| half a body                              | 408    | body_timeout           | closed     |
| half a body to a model                   | 408    | body_timeout           | closed     |
| oversized body                           | 413    | body_too_large         | closed     |
| oversized chunks                         | 413    | body_too_large         | closed     |
| WebSocket without its key                | 426    | bad_handshake          | closed     |
| unknown route                            | 404    | unknown_route          | kept       |
| unknown model route                      | 404    | unknown_route          | kept       |
| another method                           | 405    | method_not_allowed     | kept       |
| another method on a model route          | 405    | method_not_allowed     | kept       |
| broken JSON                              | 400    | invalid_json           | kept       |
| JSON that is no object                   | 400    | invalid_json           | kept       |
| JSON that is not UTF-8                   | 400    | invalid_json           | kept       |
| no body                                  | 400    | invalid_json           | kept       |
| deep nesting                             | 400    | invalid_json           | kept       |
| model twice                              | 400    | duplicate_key          | kept       |
| model twice, once escaped                | 400    | duplicate_key          | kept       |
| stream twice, once escaped               | 400    | duplicate_key          | kept       |
| model that is no string                  | 400    | invalid_type           | kept       |
| no model                                 | 400    | model_required         | kept       |
| unknown model                            | 404    | model_not_found        | kept       |
| wrong content type                       | 415    | unsupported_media_type | kept       |
| compressed body                          | 415    | unsupported_encoding   | kept       |
"""

CANARY = "canary-5f3a9c"
KEYS = f"Authorization: Bearer {CANARY}\r\nx-api-key: {CANARY}\r\n".encode()
CHAT = b"/v1/chat/completions"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = b"GET /api/smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n"


class Case(NamedTuple):
    """Bytes to send, one piece after the other, and how many requests their framing contains."""

    pieces: tuple[bytes, ...]
    contained: int = 0


def head(
    fields: bytes = b"", *, method: bytes = b"POST", target: bytes = b"/api/x", version: bytes = b"1.1"
) -> bytes:
    start = b"%b %b HTTP/%b\r\nHost: gateway\r\n" % (method, target, version)
    return start + KEYS + fields + b"\r\n"


def broken(fields: bytes, body: bytes = b"hello") -> Case:
    return Case((head(fields) + body + SMUGGLED,))


def get(target: bytes, fields: bytes = b"") -> Case:
    return Case((head(fields, method=b"GET", target=target),))


def chat(body: bytes, fields: bytes = JSON) -> Case:
    return Case((head(fields + b"Content-Length: %d\r\n" % len(body), target=CHAT) + body,))


CASES = {
    "length and chunks": broken(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"),
    "chunks and length": broken(CHUNKED + b"Content-Length: 4\r\n", b"30\r\n"),
    "two transfer codings lines": broken(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "unknown transfer coding": broken(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "chunked is not last": broken(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "another coding before chunked": broken(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "space before the colon": broken(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "control character before chunked": broken(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "two equal lengths": broken(b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    "two different lengths": broken(b"Content-Length: 5\r\nContent-Length: 0\r\n"),
    "list of lengths": broken(b"Content-Length: 5, 5\r\n"),
    "length with plus": broken(b"Content-Length: +5\r\n"),
    "length with minus": broken(b"Content-Length: -5\r\n"),
    "hexadecimal length": broken(b"Content-Length: 0x5\r\n"),
    "length with underscore": broken(b"Content-Length: 1_0\r\n"),
    "empty length": broken(b"Content-Length: \r\n"),
    "length beyond 64 bits": broken(b"Content-Length: 99999999999999999999999\r\n"),
    "bare LF after every line": Case(
        (b"POST /api/x HTTP/1.1\nHost: gateway\nContent-Length: 0\n\n" + SMUGGLED,)
    ),
    "bare LF in the header": broken(b"X-A: b\nContent-Length: 0\r\n", b""),
    "bare LF in the chunks": broken(CHUNKED, b"5\nhello\n0\n\n"),
    "bare CR in a value": broken(b"X-A: b\rContent-Length: 9\r\n", b""),
    "folded line": broken(b"X-A: b\r\n Content-Length: 9\r\n", b""),
    "folded transfer coding": broken(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "NUL in a value": broken(b"X-A: a\0b\r\n", b""),
    "NUL in a name": broken(b"X\0A: ab\r\n", b""),
    "NUL in the target": get(b"/api/\0x"),
    "chunk extension": Case((head(CHUNKED) + b"5;a=b\r\nhello\r\n0\r\n\r\n",), contained=1),
    "LF in a chunk extension": broken(CHUNKED, b"5;a\nx\r\nhello\r\n0\r\n\r\n"),
    "chunk size that is no number": broken(CHUNKED, b"zz\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": broken(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "negative chunk size": broken(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": broken(CHUNKED, b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than its size": broken(CHUNKED, b"5\r\nhelloXX0\r\n\r\n"),
    "broken chunk after a good one": Case((head(CHUNKED), b"5\r\nhello\r\n", b"zz\r\n" + SMUGGLED)),
    "chunks in HTTP/1.0": Case((head(CHUNKED, version=b"1.0") + b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED,)),
    "header line without a colon": get(b"/v1/models", f"Authorization Bearer {CANARY}\r\n".encode()),
    "credential under a broken name": get(b"/v1/models", f"Authoriz ation: Bearer {CANARY}\r\n".encode()),
    "absolute target": get(b"http://elsewhere.example/api/x"),
    "CONNECT": Case((head(method=b"CONNECT", target=b"elsewhere.example:443"),)),
    "CONNECT to a path": Case((head(method=b"CONNECT") + SMUGGLED,)),
    "TRACE": Case((head(method=b"TRACE"),)),
    "asterisk": Case((head(method=b"OPTIONS", target=b"*"),)),
    "fragment": get(b"/api/x#part"),
    "target that is not ASCII": get(b"/api/\xc3\xa4"),
    "two slashes first": get(b"//elsewhere.example/api/x"),
    "encoded dot segment": get(b"/api/%2e%2e/x"),
    "dot segment": get(b"/api/../x"),
    "dot segment with backslash": get(b"/api/..\\x"),
    "long target": get(b"/api/" + b"x" * 9000),
    "huge header line": get(b"/v1/models", b"X-Big: " + b"x" * 9000 + b"\r\n"),
    "many long header lines": Case(
        (b"GET /v1/models HTTP/1.1\r\n", *(b"X-%d: %b\r\n" % (number, b"y" * 7000) for number in range(6)))
    ),
    "129 header lines": get(b"/api/x", b"".join(b"X-%d: y\r\n" % number for number in range(129))),
    "HTTP/0.9": Case((b"GET /api/x\r\n\r\n",)),
    "HTTP/2.0": Case((head(method=b"GET", version=b"2.0"),)),
    "HTTP/2 preface": Case((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",)),
    "TLS to a plain port": Case((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",)),
    "method in small letters": Case((head(method=b"get"),)),
    "no Host": Case((b"GET /api/x HTTP/1.1\r\n\r\n",)),
    "two Hosts": Case((b"GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",)),
    "Host with a space": Case((b"GET /api/x HTTP/1.1\r\nHost: a b\r\n\r\n",)),
    "slow header": Case((b"POST %b HTTP/1.1\r\nAuthorization: Bearer %b" % (CHAT, CANARY.encode()),)),
    "half a body": Case((head(b"Content-Length: 100\r\n") + b"half",)),
    "half a body to a model": Case((head(JSON + b"Content-Length: 100\r\n", target=CHAT) + b"{",)),
    "oversized body": Case(
        (head(JSON + b"Content-Length: 1000000\r\n", target=CHAT), b"x" * 70_000),
    ),
    "oversized chunks": Case(
        (head(JSON + CHUNKED, target=CHAT) + b"fffff\r\n", b"x" * 70_000),
    ),
    "WebSocket without its key": get(b"/api/x", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "unknown route": get(b"/nowhere"),
    "unknown model route": get(b"/v1/nowhere"),
    "another method": Case((head(method=b"DELETE", target=b"/read"),)),
    "another method on a model route": Case((head(method=b"DELETE", target=CHAT),)),
    "broken JSON": chat(b'{"model": "known", "messages": ['),
    "JSON that is no object": chat(b"[1]"),
    "JSON that is not UTF-8": chat(b'{"model": "known\xff"}'),
    "no body": chat(b""),
    "deep nesting": chat(b'{"model": "known", "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    "model twice": chat(b'{"model": "known", "model": "other"}'),
    "model twice, once escaped": chat(b'{"model": "known", "mod\\u0065l": "other"}'),
    "stream twice, once escaped": chat(b'{"model": "known", "stream": false, "str\\u0065am": true}'),
    "model that is no string": chat(b'{"model": 5}'),
    "no model": chat(b'{"messages": []}'),
    "unknown model": chat(b'{"model": "nope"}'),
    "wrong content type": chat(b'{"model": "known"}', b"Content-Type: text/plain\r\n"),
    "compressed body": chat(b"\x1f\x8b", JSON + b"Content-Encoding: gzip\r\n"),
}


class Told(NamedTuple):
    """A row of the table."""

    status: int
    code: str
    connection: str


def documented() -> dict[str, Told]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOCUMENTED.strip().splitlines()[2:]]
    return {name: Told(int(status), code, connection) for name, status, code, connection in rows}


def config(url: str) -> dict[str, Any]:
    plain = {"base_url": url, "dialect": "http", "proxy": None}
    return {
        "log": {"level": "debug", "format": "json"},
        "server": {
            "max_body": "64KiB",
            "max_header_size": "8KiB",
            "header_timeout": "300ms",
            "body_timeout": "300ms",
        },
        "plugins": {"openai": {}},
        "upstreams": {
            "api": plain,
            "ai": {"base_url": f"{url}/v1", "dialect": "openai", "proxy": None},
        },
        "models": {"known": {"upstream": "ai"}},
        "routes": [
            {"name": "chat", "match": {"path": CHAT.decode(), "methods": ["POST"]}},
            {"name": "models", "match": {"path": "/v1/models"}, "upstream": "ai"},
            {"name": "read", "match": {"path": "/read", "methods": ["GET"]}, "upstream": "api"},
            {"name": "api", "match": {"path": "/api/*"}, "upstream": "api"},
        ],
    }


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().reply(json={"ok": True}) as fake:
        yield fake


@pytest.fixture
async def gateway(upstream: FakeUpstream) -> AsyncIterator[RunningGateway]:
    async with running_gateway(config(upstream.url)) as running:
        yield running


def test_every_case_is_documented() -> None:
    assert CASES.keys() == documented().keys()


@pytest.mark.parametrize("name", CASES)
async def test_it_is_told_what_is_documented(
    name: str, gateway: RunningGateway, upstream: FakeUpstream
) -> None:
    case, told = CASES[name], documented()[name]
    async with RawClient(gateway.url) as client:
        await client.send(*case.pieces, pause=0.02)
        reply = await client.read_reply(method="GET")
        closed = reply.header("connection") == "close" and await client.read_to_end() == b""

    assert reply.status == told.status
    assert ("closed" if closed else "kept") == told.connection
    assert len(upstream.requests) == case.contained
    assert CANARY.encode() not in reply.head.raw + reply.body + b"".join(gateway.log)
    if told.code != "-":
        assert code_in(reply.json(), reply.header("content-type"), case) == told.code


def code_in(body: Any, content_type: str | None, case: Case) -> str:
    """Return the error's code, from the shape that callers of its path read."""
    target = case.pieces[0].split(b" ")[1] if b" " in case.pieces[0] else b""
    if target.startswith(b"/v1/"):
        assert content_type == "application/json"
        return str(body["error"]["code"])
    assert content_type == "application/problem+json"
    return str(body["code"])


async def test_another_method_is_told_which_ones_are_taken(gateway: RunningGateway) -> None:
    async with RawClient(gateway.url) as client:
        plain = await client.exchange(head(method=b"DELETE", target=b"/read"))
        model = await client.exchange(head(method=b"DELETE", target=CHAT))

    assert (plain.header("allow"), model.header("allow")) == ("GET", "POST")


async def test_a_kept_connection_serves_the_next_request(
    gateway: RunningGateway, upstream: FakeUpstream
) -> None:
    async with RawClient(gateway.url) as client:
        refused = await client.exchange(chat(b"[1]").pieces[0])
        served = await client.exchange(head(method=b"GET"))

    assert (refused.status, served.status) == (400, 200)
    assert len(upstream.requests) == 1


async def test_an_oversized_upload_still_reads_its_reply(gateway: RunningGateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(head(JSON + b"Content-Length: 8000000\r\n", target=CHAT))
        sending = asyncio.ensure_future(client.send(*[b"x" * 65_536] * 120))
        reply = await client.read_reply(method="POST")
        await asyncio.wait([sending])

    assert reply.status == 413
    assert orjson.loads(reply.body)["error"]["code"] == "body_too_large"
    assert sending.exception() is None
