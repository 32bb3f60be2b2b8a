from __future__ import annotations

import asyncio
import gzip
import socket
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.errors import BadRequest, GatewayError, ProviderError, UpstreamError, UpstreamTimeout
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.failures import (
    KINDS,
    MOST_READ,
    Failure,
    failure_of,
    failure_of_attempt,
    read_failure,
    retry_delay,
)
from llmproxy.messages import Headers, Reply

from .recorded import needs_recordings, records


def kind_of(status: int, body: Any, **headers: str) -> str:
    failure = failure_of(Reply.json(body, status, {k.replace("_", "-"): v for k, v in headers.items()}))
    return failure.kind if failure else ""


def fault(code: str, phase: str, *, sent: bool, cause: BaseException | None = None) -> UpstreamError:
    error = UpstreamError(code, "It broke.", phase=phase, sent=sent)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            fault("upstream_unreachable", "connect", sent=False, cause=ConnectionRefusedError()),
            "connect",
        ),
        (fault("upstream_unreachable", "connect", sent=False, cause=socket.gaierror(-2, "no")), "dns"),
        (fault("upstream_tls_error", "tls", sent=False), "tls"),
        (fault("upstream_reset", "headers", sent=True), "reset"),
        (fault("upstream_reset", "body", sent=True), "cut"),
        (fault("upstream_cut", "body", sent=True), "cut"),
        (fault("upstream_protocol_error", "headers", sent=True), "protocol"),
        (fault("upstream_bad_answer", "body", sent=True), "protocol"),
        (UpstreamTimeout("headers", 1.0, sent=True), "timeout"),
        (UpstreamTimeout("first_token", 1.0, sent=True), "timeout"),
        (GatewayError(503, "upstream_busy", "Full.", retry_after=1), "busy"),
        (fault("credentials_unavailable", "connect", sent=False), "authentication"),
        (ProviderError(529, "overloaded_error", "Busy.", kind="overloaded"), "overloaded"),
        (BadRequest("not_supported_by_provider", "No such call."), "invalid_request"),
    ],
)
def test_what_an_attempt_raised_has_a_kind(error: GatewayError, kind: str) -> None:
    failure = failure_of(error)

    assert failure is not None
    assert failure.kind == kind
    assert failure.kind in KINDS
    assert failure.sent is getattr(error, "sent", failure.sent)


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("invalid_json", "Broken."),
        GatewayError(502, "plugin_failed", "No."),
        fault("deadline_exceeded", "total", sent=False),
        ConnectionAbortedError("the exchange was given up"),
    ],
)
def test_no_place_is_to_blame_for_what_is_not_its_own(error: Exception) -> None:
    assert failure_of(error) is None


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "M", "type": "invalid_request_error"}, "invalid_request"),
        (400, {"message": "M", "code": "context_length_exceeded"}, "window"),
        (400, {"message": "input length and `max_tokens` exceed context limit: 9 + 9 > 9"}, "window"),
        (400, {"message": "M", "code": "content_filter"}, "policy"),
        (400, {"message": "Output blocked by content filtering policy"}, "policy"),
        (400, {"message": "Content Exists Risk"}, "policy"),
        (403, {"message": "M", "code": "content_policy_violation"}, "policy"),
        (400, {"message": "Your credit balance is too low to access the API."}, "quota"),
        (401, {"message": "M"}, "authentication"),
        (402, {"message": "M"}, "quota"),
        (403, {"message": "M"}, "permission"),
        (404, {"message": "M"}, "not_found"),
        (413, {"message": "M"}, "too_large"),
        (429, {"message": "M"}, "rate_limit"),
        (429, {"message": "M", "code": "insufficient_quota"}, "quota"),
        (429, {"message": "M", "type": "exceeded_current_quota_error"}, "quota"),
        (429, {"message": "Request too large for gpt-4o on tokens per min (TPM)."}, "too_large"),
        (500, {"message": "M"}, "server"),
        (503, {"message": "M"}, "overloaded"),
        (504, {"message": "M"}, "timeout"),
        (529, {"message": "M"}, "overloaded"),
    ],
)
def test_an_error_reply_has_a_kind(status: int, error: dict[str, Any], kind: str) -> None:
    assert kind_of(status, {"error": error}) == kind


def test_a_good_reply_is_no_failure() -> None:
    assert failure_of(Reply.json({})) is None


def test_a_daily_quota_of_google_is_spent_and_a_minutes_is_not() -> None:
    def told(quota: str) -> dict[str, Any]:
        violation = {"quotaId": quota}
        detail = {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [violation],
        }
        wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}
        message = "You exceeded your current quota, please check your plan and billing details."
        return {
            "error": {
                "code": 429,
                "message": message,
                "status": "RESOURCE_EXHAUSTED",
                "details": [detail, wait],
            }
        }

    minute = failure_of(Reply.json(told("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), 429))

    assert minute == Failure("rate_limit", 429, 17.5)
    assert kind_of(429, told("GenerateRequestsPerDayPerProjectPerModel-FreeTier")) == "quota"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "3", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "1000000000"}, 366 * 86400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        (
            {"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"},
            30.0,
        ),
        (
            {"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"},
            0.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_delay(Headers.of(headers)) == seconds


def test_a_date_counts_from_the_gateways_clock_where_the_reply_has_none() -> None:
    headers = Headers.of({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"})

    assert retry_delay(headers, wall=1445412500.0) == 10.0


@given(st.text(max_size=40))
def test_no_text_in_a_wait_makes_it_fail(text: str) -> None:
    seconds = retry_delay([("retry-after", text), ("retry-after-ms", text)])

    assert seconds is None or seconds >= 0


def test_an_error_that_says_when_to_come_back_is_waited_for() -> None:
    error = ProviderError(429, "x", "Wait.", kind="rate_limit", headers=[("Retry-After", "7")])

    assert failure_of(error) == Failure("rate_limit", 429, 7.0)


def coming(status: int, **headers: str) -> tuple[Reply, Body]:
    body = Body()
    return Reply(status, Headers.of({k.replace("_", "-"): v for k, v in headers.items()}), body), body


async def test_a_body_that_is_still_coming_is_read_and_becomes_whole() -> None:
    reply, body = coming(429)
    reading = asyncio.ensure_future(read_failure(reply))
    await asyncio.sleep(0)
    body.feed(b'{"error": {"code": ')
    body.feed(b'"insufficient_quota"}}')
    body.end()

    assert await reading == Failure("quota", 429)
    assert reply.body == b'{"error": {"code": "insufficient_quota"}}'


async def test_a_large_body_is_judged_by_its_head_and_passed_on_whole() -> None:
    reply, body = coming(400)
    reading = asyncio.ensure_future(read_failure(reply))
    await asyncio.sleep(0)
    for _ in range(3):
        body.feed(b"x" * MOST_READ)
    failure = await reading
    body.feed(b"end")
    body.end()

    assert failure == Failure("invalid_request", 400)
    assert isinstance(reply.body, Body)
    assert await reply.body.read(1 << 20) == b"x" * 3 * MOST_READ + b"end"


async def test_a_large_body_that_ends_at_once_is_not_cut_short() -> None:
    reply, body = coming(400)
    for _ in range(3):
        body.feed(b"x" * MOST_READ)
    body.end()
    await read_failure(reply)
    whole = await reply.body.read(1 << 20) if isinstance(reply.body, Body) else reply.body

    assert whole == b"x" * 3 * MOST_READ


async def test_a_body_that_stalls_is_judged_by_its_head() -> None:
    reply, body = coming(429, Retry_After="2")
    body.feed(b"{")

    assert await read_failure(reply, within=0.01) == Failure("rate_limit", 429, 2.0)
    assert isinstance(reply.body, Body)


async def test_a_body_that_breaks_off_is_judged_by_its_head_and_stays_broken() -> None:
    reply, body = coming(400)
    body.feed(b"{")
    body.fail(ConnectionResetError())

    assert await read_failure(reply) == Failure("invalid_request", 400)
    assert isinstance(reply.body, Body)
    with pytest.raises(ConnectionResetError):
        await reply.body.read(100)


async def test_the_source_is_let_go_when_the_reply_is_given_up() -> None:
    left: list[str] = []
    body = Body(abandon=lambda: left.append("left"))
    reply = Reply(400, body=body)
    body.feed(b"{")
    await read_failure(reply, within=0.01)
    assert isinstance(reply.body, Body)
    reply.body.abandon()

    assert left == ["left"]


async def test_the_source_is_let_go_when_the_reading_is_cancelled() -> None:
    left: list[str] = []
    body = Body(abandon=lambda: left.append("left"))
    reading = asyncio.ensure_future(read_failure(Reply(400, body=body)))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])

    assert left == ["left"]


async def test_a_status_that_says_all_leaves_the_body_unread() -> None:
    reply, body = coming(500)

    assert await read_failure(reply) == Failure("server", 500)
    assert reply.body is body


def test_a_compressed_error_is_read() -> None:
    body = gzip.compress(orjson.dumps({"error": {"message": "prompt is too long: 2 tokens > 1 maximum"}}))
    broken = Headers.of({"Content-Encoding": "gzip"})

    assert failure_of(Reply(400, broken, body)) == Failure("window", 400)
    assert failure_of(Reply(400, broken, b"no gzip")) == Failure("invalid_request", 400)


def test_an_attempt_knows_what_it_failed_with() -> None:
    place = Endpoint("upstream")
    broken = Attempt(1, place, 0.0, error=fault("upstream_cut", "body", sent=True))

    assert failure_of_attempt(broken) == Failure("cut", None, None, sent=True, phase="body")
    assert failure_of_attempt(Attempt(1, place, 0.0, status=500)) == Failure("server", 500)
    assert failure_of_attempt(Attempt(1, place, 0.0, status=200)) is None


#: What was recorded, by a part of its message.
RECORDED = {
    "prompt is too long": "window",
    "exceeds the context window": "window",
    "max context length": "window",
    "too many tokens": "window",
    "total length of all messages": "window",
    "input token count": "window",
    "Input Tokens Exceeded": "window",
    "exceeded your current quota": "quota",
    "API key not valid": "authentication",
    "Incorrect API key": "authentication",
    "Resource exhausted": "rate_limit",
    "Unsupported parameter": "invalid_request",
    "extraneous key": "invalid_request",
    "Invalid image data": "invalid_request",
}


@needs_recordings
def test_recorded_errors_are_told_apart() -> None:
    seen = set()
    for record in records():
        response = record["response"]
        if response["status"] < 400 or "body" not in response:
            continue
        text = orjson.dumps(response["body"]).decode()
        kind = kind_of(response["status"], response["body"])
        assert kind in KINDS
        for part, expected in RECORDED.items():
            if part in text:
                seen.add(part)
                assert kind == expected, text
    assert seen == set(RECORDED)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid value: 'incorrect api key'. Supported values are: 'system' and 'user'.", "authentication"),
        ("insufficient balance is not a valid model ID", "quota"),
    ],
)
def test_what_an_error_only_repeats_of_a_request_says_nothing_of_the_keys(message: str, kind: str) -> None:
    told = Reply.json({"error": {"message": message}}, 400)
    raised = ProviderError(400, "bad_request", message, kind="invalid_request")

    for found in (told, raised):
        assert failure_of(found) == Failure(kind, 400)
        assert failure_of(found, said=lambda words: False) == Failure(kind, 400)
        assert failure_of(found, said=lambda words: words in message.lower()) == Failure(
            "invalid_request", 400
        )
