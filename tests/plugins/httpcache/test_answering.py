from __future__ import annotations

import pytest

from llmproxy.caches import Mark
from llmproxy.plugin import Body, Entry, Headers, Reply, wire_fields
from llmproxy_httpcache.answering import facts_of, from_store, part_of, tailored
from llmproxy_httpcache.plan import Stored
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import PART, Terms

NOW = 1_795_000_000.0
FIELDS = [(b"ETag", b'"a"'), (b"Content-Type", b"text/plain")]


def _stored(terms: Terms, body: bytes = b"hello", status: int = 200) -> Stored:
    return Stored(b"k", Entry(status, wire_fields(FIELDS), body, mark=Mark(1, 1)), terms)


WHOLE = _stored(Terms(60, 0, NOW, etag=b'"a"'))


def _serve(asked: Asked, stored: Stored = WHOLE) -> Reply:
    return from_store(asked, stored, 7, b"cache; hit", NOW)


def test_a_plain_request_gets_what_is_stored() -> None:
    reply = _serve(Asked(method="GET"))

    assert (reply.status, bytes(reply.body)) == (200, b"hello")  # type: ignore[arg-type]
    assert (reply.headers.get("age"), reply.headers.get("cache-status")) == ("7", "cache; hit")


def test_head_gets_the_length() -> None:
    assert _serve(Asked(method="HEAD")).headers.get("content-length") == "5"


def test_conditions_and_ranges_are_for_successes_alone() -> None:
    gone = _stored(Terms(60, 0, NOW, etag=b'"a"'), status=404)

    assert _serve(Asked(method="GET", none_match=b'"a"'), gone).status == 404
    assert _serve(Asked(method="GET", range=b"bytes=0-1"), gone).status == 404


def test_a_condition_comes_before_a_range() -> None:
    reply = _serve(Asked(method="GET", none_match=b'"a"', range=b"bytes=0-1"))

    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers.get("cache-status") == "cache; hit"


def test_a_range_that_cannot_be_read_gets_the_whole() -> None:
    assert _serve(Asked(method="GET", range=b"bytes=0-1,3-4")).status == 200


async def test_a_body_that_is_still_coming_is_not_cut() -> None:
    reply = Reply(200, Headers(), Body())

    assert tailored(Asked(method="GET", range=b"bytes=0-1"), reply, Terms(0, 0, NOW), NOW) is reply


@pytest.mark.parametrize(
    ("wanted", "total", "body"),
    [
        (b"bytes=4-6", 10, b"234"),
        (b"bytes=2-", 10, None),
        (b"bytes=-1", 10, None),
        (b"bytes=-3", 7, b"234"),
        (b"bytes=4-6", None, b"234"),
        (b"bytes=4-", None, None),
        (b"bytes=1-4", 10, None),
        (b"bytes=0-1,3-4", 10, None),
    ],
)
def test_a_part_gives_what_it_has(wanted: bytes, total: int | None, body: bytes | None) -> None:
    part = _stored(Terms(60, 0, NOW, PART, etag=b'"a"', first=2, last=6, total=total), b"01234")
    reply = part_of(Asked(method="GET", range=wanted), part, 7, b"cache; hit", NOW)

    assert (None if reply is None else bytes(reply.body)) == body  # type: ignore[arg-type]


def test_what_conditions_are_judged_by_is_read_from_an_answer() -> None:
    fields = Headers([(b"ETag", b'"a"'), (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT")])
    terms = facts_of(Reply(200, fields), NOW)

    assert (terms.etag, terms.modified_at, terms.date) == (b'"a"', 784_111_777, int(NOW))
