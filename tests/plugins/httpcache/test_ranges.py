from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.dates import format_date
from llmproxy_httpcache.ranges import (
    Place,
    Span,
    Wanted,
    content_range,
    continues,
    cut,
    join,
    mended,
    place_of,
    still_same,
    wanted,
)
from llmproxy_httpcache.terms import MENDED, Terms

NOW = 1_795_000_000


@pytest.mark.parametrize(
    ("text", "total", "span"),
    [
        (b"bytes=0-1", 11, Span(0, 1)),
        (b"bytes=1-", 11, Span(1, 10)),
        (b"bytes=-1", 11, Span(10, 10)),
        (b"bytes=-99", 11, Span(0, 10)),
        (b"bytes=5-99", 11, Span(5, 10)),
        (b"BYTES = 0-0", 11, Span(0, 0)),
        (b"bytes=11-", 11, None),
        (b"bytes=-0", 11, None),
        (b"bytes=-5", 0, None),
        (b"bytes=0-", 0, None),
    ],
)
def test_a_range_has_its_place_in_the_whole(text: bytes, total: int, span: Span | None) -> None:
    asked = wanted(text)

    assert asked is not None
    assert asked.within(total) == span


@pytest.mark.parametrize(
    "text", [b"", b"bytes=", b"bytes=-", b"bytes=5-4", b"bytes=0-1,3-4", b"lines=0-1", b"bytes=a-b"]
)
def test_what_is_no_single_range_is_answered_by_the_whole(text: bytes) -> None:
    assert wanted(text) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"bytes 0-4/10", Place(Span(0, 4), 10)),
        (b"bytes 0-4/*", Place(Span(0, 4), None)),
        (b"bytes 4-0/10", None),
        (b"bytes 0-10/10", None),
        (b"bytes */10", None),
        (b"nonsense", None),
        (None, None),
    ],
)
def test_a_place_is_read(text: bytes | None, place: Place | None) -> None:
    assert place_of(text) == place


def test_a_place_is_written_as_it_is_read() -> None:
    assert content_range(Span(4, 8), 9) == b"bytes 4-8/9"
    assert content_range(Span(4, 8), None) == b"bytes 4-8/*"


def test_what_came_decides_where_the_last_bytes_were_asked_for() -> None:
    place = Place(Span(4, 9), 10)

    assert mended(place, 5, Wanted(None, None, 5)) == Place(Span(4, 8), 9)
    assert mended(place, 4, Wanted(None, None, 5)) is None
    assert mended(place, 5, Wanted(4, None)) is None
    assert mended(Place(Span(4, 8), 10), 4, Wanted(None, None, 4)) is None
    assert mended(Place(Span(4, 9), None), 5, Wanted(None, None, 5)) is None


def test_only_a_strong_validator_lets_a_range_be_served() -> None:
    tagged = Terms(60, 0, NOW, etag=b'"a"', modified_at=NOW - 100, date=NOW)
    then = format_date(NOW - 100)

    assert still_same(None, tagged, NOW)
    assert still_same(b'"a"', tagged, NOW)
    assert still_same(then, tagged, NOW)
    assert not still_same(b'"b"', tagged, NOW)
    assert not still_same(b'W/"a"', Terms(60, 0, NOW, etag=b'W/"a"'), NOW)
    assert not still_same(format_date(NOW - 99), tagged, NOW)
    assert not still_same(then, Terms(60, 0, NOW, modified_at=NOW - 100, date=NOW - 90), NOW)


def test_parts_of_one_whole_go_together() -> None:
    stored = Terms(60, 0, NOW, etag=b'"a"', first=0, last=4, total=10)

    assert continues(stored, b'"a"', Place(Span(5, 9), 10))
    assert continues(stored, b'"a"', Place(Span(3, 9), None))
    assert not continues(stored, b'"a"', Place(Span(6, 9), 10))
    assert not continues(stored, b'"a"', Place(Span(5, 9), 11))
    assert not continues(stored, b'"b"', Place(Span(5, 9), 10))
    assert not continues(Terms(60, 0, NOW, etag=b'W/"a"', first=0, last=4), b'W/"a"', Place(Span(5, 9), 10))
    assert not continues(
        Terms(60, 0, NOW, MENDED, etag=b'"a"', first=0, last=4), b'"a"', Place(Span(5, 9), 10)
    )


@given(st.binary(min_size=1, max_size=40), st.data())
def test_parts_make_the_whole_again(whole: bytes, data: st.DataObject) -> None:
    middle = data.draw(st.integers(0, len(whole) - 1))
    start = data.draw(st.integers(0, middle + 1).filter(lambda at: at < len(whole)))
    place = Span(start, len(whole) - 1)

    assert join(memoryview(whole)[: middle + 1], 0, whole[start:], place) == whole


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_cut_has_the_bytes_it_announces(whole: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole) - 1))
    start = data.draw(st.integers(0, first))

    assert bytes(cut(memoryview(whole)[start:], start, Span(first, last))) == whole[first : last + 1]
