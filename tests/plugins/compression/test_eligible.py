from __future__ import annotations

import pytest

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_compression.config import CompressionConfig
from llmproxy_compression.eligible import Types, add_vary, confirm, kind_of, large, mark, varies, whole

TYPES = Types(CompressionConfig().types)


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        (b"text/plain", True),
        (b"Text/HTML; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"application/atom+xml;x=y", True),
        (b"image/svg+xml", True),
        (b"image/png", False),
        (b"application/octet-stream", False),
        (b"application/json2", False),
        (b"text/a/b", False),
        (b"", False),
    ],
)
def test_types_are_told_by_their_patterns(kind: bytes, taken: bool) -> None:
    assert [TYPES.take(kind), TYPES.take(kind)] == [taken, taken]


def test_no_types_are_none() -> None:
    assert not Types(()).take(b"text/plain")
    assert not Types(()).take(b"")


def test_a_kind_is_a_type_without_its_parameters() -> None:
    assert kind_of(b"Text/Plain ; q=1") == b"text/plain"


def reply(status: int = 200, body: bytes | Body = b"", **headers: str) -> Reply:
    fields = {"Content-Type": "application/json"} | {name.replace("_", "-"): v for name, v in headers.items()}
    return Reply(status, Headers.of(fields), body)


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (reply(), True),
        (reply(404), True),
        (reply(206), False),
        (reply(304), False),
        (reply(204), False),
        (reply(101), False),
        (reply(Content_Encoding="gzip"), False),
        (reply(Content_Encoding="identity"), False),
        (reply(Cache_Control="public, No-Transform"), False),
        (reply(Cache_Control="x-no-transform"), True),
        (reply(Content_Type="image/png"), False),
        (reply(Content_Type="text/event-stream"), False),
        (reply(Content_Type="application/x-ndjson"), False),
    ],
)
def test_only_plain_whole_answers_are_coded(given: Reply, result: bool) -> None:
    assert varies(given, TYPES, events=False) is result


def test_no_transform_counts_in_whichever_line_it_stands() -> None:
    given = reply(Cache_Control="no-transform")
    given.headers.add("Cache-Control", "max-age=9")

    assert varies(given, TYPES, events=False) is False


def test_a_list_is_read_whole() -> None:
    headers = Headers.of([("Accept-Encoding", "br"), ("X-A", "1"), ("accept-encoding", "gzip;q=0")])

    assert whole(headers, b"accept-encoding") == b"br, gzip;q=0"
    assert whole(headers, b"x-a") == b"1"
    assert whole(headers, b"x-b") is None


@pytest.mark.parametrize(
    ("etag", "asked", "told"),
    [
        ('"a"', b'W/"b", W/"a"', 'W/"a"'),
        ('"a"', b'"a"', '"a"'),
        ('"a"', b"", '"a"'),
        ('W/"a"', b'W/"a"', 'W/"a"'),
    ],
)
def test_a_304_names_the_answer_that_its_caller_has(etag: str, asked: bytes, told: str) -> None:
    headers = Headers.of({"ETag": etag})
    confirm(headers, asked)

    assert headers.get("etag") == told
    assert ("vary" in headers) is (etag != told)


def test_events_are_coded_where_that_was_asked_for() -> None:
    assert varies(reply(Content_Type="text/event-stream; charset=utf-8"), TYPES, events=True)


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (reply(body=b"x" * 9), False),
        (reply(body=b"x" * 10), True),
        (reply(body=Body()), True),
        (reply(body=Body(), Content_Length="9"), False),
        (reply(body=Body(), Content_Length="10"), True),
        (reply(Content_Length="10"), True),
        (reply(), False),
    ],
)
def test_small_answers_stay_plain(given: Reply, result: bool) -> None:
    assert large(given, 10) is result


def test_what_is_true_of_the_plain_bytes_goes() -> None:
    headers = reply(Content_Length="9", Accept_Ranges="bytes", Repr_Digest="x", ETag='"a"', X_A="1").headers
    mark(headers, "br")

    assert dict(headers) == {
        "Content-Type": "application/json",
        "X-A": "1",
        "Content-Encoding": "br",
        "ETag": 'W/"a"',
    }


def test_a_weak_tag_stays() -> None:
    headers = reply(ETag='W/"a"').headers
    mark(headers, "br")

    assert headers.get("etag") == 'W/"a"'


@pytest.mark.parametrize(
    ("vary", "result"),
    [
        (None, "Accept-Encoding"),
        ("Origin", "Origin, Accept-Encoding"),
        ("accept-encoding", "accept-encoding"),
        ("*", "*"),
    ],
)
def test_vary_keeps_what_it_says(vary: str | None, result: str) -> None:
    headers = Headers.of({} if vary is None else {"Vary": vary})
    add_vary(headers)

    assert headers.get("vary") == result
