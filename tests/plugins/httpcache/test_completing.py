from __future__ import annotations

import pytest

from llmproxy.caches import Mark
from llmproxy.plugin import Entry, Headers, Reply
from llmproxy_httpcache.completing import completed, completion
from llmproxy_httpcache.plan import Stored
from llmproxy_httpcache.terms import PART, Terms

TERMS = Terms(60, 0.0, 0.0, PART, etag=b'"a"', first=0, last=4, total=10)
PART_OF = Stored(
    b"k", Entry(206, b'ETag: "a"\r\nContent-Range: bytes 0-4/10\r\n', b"01234", mark=Mark(1, 1)), TERMS
)


def test_only_a_beginning_that_is_worth_it_is_completed() -> None:
    part = Terms(60, 0, 0, etag=b'"a"', first=0, last=4, total=10)

    assert completion(part, 100, unvalidated=False) == [(b"Range", b"bytes=5-"), (b"If-Range", b'"a"')]
    assert completion(part, 9, unvalidated=False) is None
    assert completion(Terms(60, 0, 0, first=1, last=4, total=10), 100, unvalidated=True) is None
    assert completion(Terms(60, 0, 0, first=0, last=4), 100, unvalidated=True) is None
    assert completion(Terms(60, 0, 0, first=0, last=4, total=10), 100, unvalidated=False) is None
    assert completion(Terms(60, 0, 0, first=0, last=4, total=10), 100, unvalidated=True) == [
        (b"Range", b"bytes=5-")
    ]


def _rest(place: str, etag: str = '"a"', body: bytes = b"56789") -> Reply:
    return Reply(206, Headers.of({"Content-Range": place, "ETag": etag}), body)


async def test_a_beginning_and_its_rest_make_the_whole() -> None:
    whole = await completed(PART_OF, _rest("bytes 5-9/10"), 100)

    assert whole is not None
    assert (whole.status, whole.body, whole.headers.get("content-range")) == (200, b"0123456789", None)


@pytest.mark.parametrize(
    "reply",
    [
        _rest("bytes 5-9/11"),
        _rest("bytes 6-9/10", body=b"6789"),
        _rest("bytes 5-9/10", etag='"b"'),
        _rest("bytes 5-9/10", body=b"567"),
        _rest("nonsense"),
    ],
)
async def test_what_does_not_fit_makes_none(reply: Reply) -> None:
    assert await completed(PART_OF, reply, 100) is None
