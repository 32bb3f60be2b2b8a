from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, Body, GatewayError, Headers, Reply, patch
from llmproxy.testing import make_exchange
from llmproxy_rewrite.bodies import difference, is_json, put_body, reply_body, request_body

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("kind", "json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/json", False),
        ("application/jsonlines", False),
        ("", False),
    ],
)
def test_json_is_told_by_its_type(kind: str, json: bool) -> None:
    assert is_json(Headers.of({"Content-Type": kind})) is json


async def test_a_body_that_may_be_changed_is_returned() -> None:
    assert await request_body(make_exchange(headers=JSON, body=b"{}"), 2) == b"{}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_a_request_that_needs_no_body_may_have_none(method: str) -> None:
    assert await request_body(make_exchange(method), 9) is None


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 415),
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({**JSON, "Content-Encoding": "gzip"}, b"{}", 415),
        (JSON, b'{"a":1}', 413),
        ({**JSON, "Content-Length": "7"}, b"", 413),
        ({}, b"", 415),
    ],
)
async def test_any_other_is_refused(headers: dict[str, str], body: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        await request_body(make_exchange(headers=headers, body=body), 3)

    assert caught.value.status == status


def reply(body: bytes | Body, **headers: str) -> Reply:
    return Reply(200, Headers.of({**JSON, **{n.replace("_", "-"): v for n, v in headers.items()}}), body)


async def test_an_answer_is_read_whole_and_plain() -> None:
    streamed = Body()
    streamed.feed(b"{")
    streamed.feed(b"}")
    streamed.end()

    assert await reply_body(reply(b"{}"), 9) == b"{}"
    assert await reply_body(reply(streamed), 9) == b"{}"
    assert await reply_body(reply(gzip.compress(b"{}"), Content_Encoding="gzip"), 40) == b"{}"


@pytest.mark.parametrize(
    "given_",
    [
        reply(b"{}", Content_Type="text/event-stream"),
        reply(b"x" * 41),
        reply(gzip.compress(b"x" * 5000), Content_Encoding="gzip"),
        reply(gzip.compress(b"{}")[:-4], Content_Encoding="gzip"),
        reply(b"no gzip", Content_Encoding="gzip"),
        reply(b"{}", Content_Encoding="br"),
    ],
    ids=["no json", "large", "bomb", "cut", "broken", "unknown"],
)
async def test_an_answer_that_cannot_be_changed_is_refused(given_: Reply) -> None:
    with pytest.raises(GatewayError, match="cannot be rewritten") as caught:
        await reply_body(given_, 40)

    assert caught.value.status == 502


async def test_a_streamed_answer_is_read_no_further_than_the_bound() -> None:
    left: list[bool] = []
    streamed = Body(abandon=lambda: left.append(True))
    streamed.feed(b"x" * 41)

    with pytest.raises(GatewayError, match="larger than 40"):
        await reply_body(reply(streamed), 40)
    assert left == [True]


def test_what_was_said_of_other_bytes_goes() -> None:
    changed = reply(b"{}", Content_Length="2", ETag='"a"', Digest="x", Accept_Ranges="bytes", X_A="1")
    put_body(changed, b"[]", changed=True)

    assert dict(changed.headers) == {**JSON, "ETag": 'W/"a"', "X-A": "1"}


def test_what_was_said_of_the_same_bytes_stays() -> None:
    same = reply(b"{}", ETag='"a"', Digest="x")
    put_body(same, b"{}", changed=False)

    assert dict(same.headers) == {**JSON, "ETag": '"a"', "Digest": "x"}


def test_an_inflated_body_is_another() -> None:
    inflated = reply(b"...", Content_Encoding="gzip", ETag='W/"a"')
    put_body(inflated, b"{}", changed=False)

    assert dict(inflated.headers) == {**JSON, "ETag": 'W/"a"'}


@given(st.binary(max_size=30), st.binary(max_size=10), st.binary(max_size=10), st.integers(0, 30))
def test_a_difference_is_one_range_and_all_of_it(before: bytes, new: bytes, more: bytes, at: int) -> None:
    after = before[:at] + new + before[at + len(more) :]
    edit = difference(before, after)

    if edit is None:
        assert before == after
    else:
        assert patch(before, [(edit.start, edit.end, edit.data)]) == after
        assert edit.start >= min(at, len(before))
