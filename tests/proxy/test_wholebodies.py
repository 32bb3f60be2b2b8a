"""Bodies whose type says another thing than they are."""

from __future__ import annotations

import gzip

import pytest

from llmproxy.errors import UpstreamError
from llmproxy.messages import Headers, Reply
from llmproxy.wholebodies import as_events, is_events, whole


@pytest.mark.parametrize(
    "body", [b"data: {}\n\n", b"event: x\ndata: {}\n\n", b": hello\n\n", b"\n\nid: 1\n\n", b"data:{}"]
)
def test_what_begins_as_events_do_is_a_stream_of_them(body):
    assert is_events(body)


@pytest.mark.parametrize("body", [b"{}", b'[{"data": 1}]', b'"data: x"', b"", b"<html>", b"data", b"\n{\n:}"])
def test_what_begins_as_json_or_text_does_is_none(body):
    assert not is_events(body)


def test_a_stream_that_was_called_something_else_is_one_without_the_coding_it_had():
    fields = {"content-type": "application/json", "Content-Encoding": "gzip", "x-request-id": "r"}
    told = as_events(Reply(200, Headers.of(fields), b"?"), b"data: {}\n\n")

    assert (told.is_event_stream, told.headers.get("content-encoding")) == (True, None)
    assert (told.body, told.headers.get("x-request-id")) == (b"data: {}\n\n", "r")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_byte_order_mark_is_no_part_of_a_body(coding):
    body = b"\xef\xbb\xbf{}"
    body = gzip.compress(body) if coding == "gzip" else body

    assert await whole(Reply(200, Headers.of({"content-encoding": coding}), body)) == b"{}"


async def test_a_body_that_is_not_in_its_coding_cannot_be_read():
    with pytest.raises(UpstreamError):
        await whole(Reply(200, Headers.of({"content-encoding": "gzip"}), b"no gzip"))
