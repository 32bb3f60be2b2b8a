from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_httpcache.etags import READ_FIRST, etag_of, tagged, wants_etag
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.policy import Policy
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.storing import Answer, Keep, store
from llmproxy_httpcache.terms import OWN_ETAG

MAKES = Policy(makes_etags=True)


def _keep(*fields: RawHeader, status: int = 200) -> Keep:
    raw = [(b"Cache-Control", b"max-age=60"), *fields]
    decision = store(MAKES, Asked(method="GET"), Answer(status, Fields(raw), 0.0, 0.0))
    assert isinstance(decision, Keep)
    return decision


@given(one=st.binary(), other=st.binary())
def test_a_tag_is_strong_and_the_bytes_own(one: bytes, other: bytes) -> None:
    assert etag_of(one).startswith(b'"')
    assert (etag_of(one) == etag_of(memoryview(other))) == (one == other)


def test_only_what_has_none_gets_a_tag_and_only_where_the_route_wants_it() -> None:
    assert wants_etag(MAKES, 200, _keep())
    assert not wants_etag(MAKES, 404, _keep(status=404))
    assert not wants_etag(MAKES, 200, _keep((b"ETag", b'"a"')))
    assert not wants_etag(Policy(), 200, _keep())


async def test_an_answer_that_is_here_has_its_tag_at_once() -> None:
    reply = Reply(200, Headers(), b"hello")
    keep = await tagged(reply, _keep())

    assert reply.headers.index[b"etag"] == etag_of(b"hello") == keep.terms.etag
    assert keep.terms.flags & OWN_ETAG
    assert not keep.terms.validator
    assert (b"ETag", keep.terms.etag) in keep.fields


async def test_a_short_one_is_awaited_and_a_long_one_is_not() -> None:
    short, long = Body(), Body()
    short.feed(b"hello")
    short.end()
    awaited = Reply(200, Headers([(b"Content-Length", b"5")]), short)
    passing = Reply(200, Headers([(b"Content-Length", b"%d" % (READ_FIRST + 1))]), long)

    assert (await tagged(awaited, _keep())).terms.etag == etag_of(b"hello")
    assert awaited.body == b"hello"
    assert (await tagged(passing, _keep())).terms.etag == b""
    assert b"etag" not in passing.headers.index
