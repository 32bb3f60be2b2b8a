from __future__ import annotations

import pytest

from llmproxy_httpcache.dates import format_date
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import Terms
from llmproxy_httpcache.validating import (
    conditions,
    described_by,
    freshened,
    names_tag,
    not_modified,
    only_tags,
    speaks_of,
    unchanged,
)

NOW = 1_795_000_000


@pytest.mark.parametrize(
    ("listed", "etag"),
    [
        (b'"a"', b'"a"'),
        (b'"a", "b", "c"', b'"c"'),
        (b'W/"a"', b'"a"'),
        (b'"a"', b'W/"a"'),
        (b'"a, b"', b'"a, b"'),
        (b"*", b'"a"'),
        (b"a", b"a"),
        ('"abcdefü"'.encode("latin-1"), '"abcdefü"'.encode("latin-1")),
    ],
)
def test_a_tag_is_found_weakly(listed: bytes, etag: bytes) -> None:
    assert names_tag(listed, etag)


@pytest.mark.parametrize(
    ("listed", "etag"), [(b'"a"', b'"b"'), (b'"a"', b"a"), (b"a", b'"a"'), (b'"a"', b"")]
)
def test_another_tag_is_not(listed: bytes, etag: bytes) -> None:
    assert not names_tag(listed, etag)


def test_the_tag_decides_where_there_is_one() -> None:
    terms = Terms(60, 0, NOW, etag=b'"a"', modified_at=NOW - 50)
    before, after = format_date(NOW - 100), format_date(NOW)

    assert unchanged(Asked(method="GET", none_match=b'"a"', modified_since=before), terms, NOW)
    assert not unchanged(Asked(method="GET", none_match=b'"b"', modified_since=after), terms, NOW)


def test_a_date_is_compared_with_the_last_change_or_with_the_making() -> None:
    changed = Terms(60, 0, NOW, modified_at=NOW - 50, date=NOW)
    made = Terms(60, 0, NOW, date=NOW - 50)

    for terms in (changed, made):
        assert unchanged(Asked(method="GET", modified_since=format_date(NOW - 50)), terms, NOW)
        assert unchanged(Asked(method="GET", modified_since=format_date(NOW)), terms, NOW)
        assert not unchanged(Asked(method="GET", modified_since=format_date(NOW - 51)), terms, NOW)
        assert not unchanged(Asked(method="GET", modified_since=b"yesterday"), terms, NOW)
    assert not unchanged(Asked(method="GET"), changed, NOW)


def test_the_origin_is_asked_by_tag_and_date() -> None:
    terms = Terms(60, 0, NOW, etag=b'W/"a"', modified=b"Sun, 06 Nov 1994 08:49:37 GMT")

    assert conditions(terms) == [
        (b"If-None-Match", b'W/"a"'),
        (b"If-Modified-Since", b"Sun, 06 Nov 1994 08:49:37 GMT"),
    ]
    assert conditions(terms, (b'"b"', b'W/"a"')) == [(b"If-None-Match", b'W/"a", "b"')]
    assert conditions(Terms(60, 0, NOW)) == []
    assert only_tags([]) == []


def test_a_304_updates_what_is_not_of_the_bytes() -> None:
    stored = [
        (b"Content-Type", b"a"),
        (b"Content-Encoding", b"gzip"),
        (b"A", b"1"),
        (b"A", b"2"),
        (b"B", b"1"),
        (b"Age", b"7"),
        (b"ETag", b'"x"'),
    ]
    told = [
        (b"content-type", b"b"),
        (b"Content-Encoding", b"br"),
        (b"Content-Length", b"5"),
        (b"Content-Range", b"bytes 0-1/2"),
        (b"Connection", b"close"),
        (b"a", b"3"),
        (b"C", b"4"),
    ]

    assert freshened(stored, told) == [
        (b"Content-Type", b"a"),
        (b"Content-Encoding", b"gzip"),
        (b"B", b"1"),
        (b"ETag", b'"x"'),
        (b"a", b"3"),
        (b"C", b"4"),
    ]


def test_a_304_about_another_answer_is_known() -> None:
    terms = Terms(60, 0, NOW, etag=b'"a"', modified=b"then")

    assert speaks_of(terms, Fields([(b"ETag", b'"a"')]))
    assert speaks_of(terms, Fields([(b"ETag", b'W/"a"')]))
    assert speaks_of(terms, Fields([]))
    assert not speaks_of(terms, Fields([(b"ETag", b'"b"')]))
    assert not speaks_of(terms, Fields([(b"Last-Modified", b"now")]))


def test_a_head_that_describes_other_bytes_is_known() -> None:
    terms = Terms(60, 0, NOW, etag=b'"a"')

    assert described_by(terms, 5, Fields([(b"Content-Length", b"5"), (b"ETag", b'"a"')]))
    assert described_by(terms, 5, Fields([]))
    assert not described_by(terms, 5, Fields([(b"Content-Length", b"6")]))
    assert not described_by(terms, 5, Fields([(b"ETag", b'"b"')]))


def test_a_304_has_the_fields_that_it_must_have() -> None:
    stored = [(b"ETag", b'"a"'), (b"Content-Type", b"x"), (b"Vary", b"y"), (b"Date", b"z"), (b"Foo", b"1")]

    assert not_modified(stored) == [(b"ETag", b'"a"'), (b"Vary", b"y"), (b"Date", b"z")]
