"""The lane between dialects, with two toy dialects and a real socket between."""

from __future__ import annotations

import asyncio
import gzip
import threading
from contextlib import asynccontextmanager
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from llmproxy.canonical import Failed, Finished, TruncatedStream
from llmproxy.errors import ProviderError, UpstreamError
from llmproxy.plugin import GatewayError, Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, run_route, running_route
from llmproxy.translation import Canonical

from .toy_dialects import WHY, DotsDecoder, ToyClient, ToyEncoder, ToyPlugin

ANSWER = {"answer": "hello you", "id": "a-1"}
STREAM = [b"id a-1\n", b"word hello\nwo", b"rd  you\n", b".\n"]
TOLD = b"+hello\n+ you\n-stop\n!\n"


def route(**more):
    return {"routes": [{"name": "toys", "match": {"path": "/toy/*"}, "upstream": "upstream", **more}]}


def asking(path="/toy/ask", headers=None, **body):
    return make_exchange(path=path, headers=headers, body={"model": "m", "say": "hi", **body})


@asynccontextmanager
async def toys(upstream, plugins=(), **more):
    tables = {plugin.__name__.lower(): {"use": plugin} for plugin in (ToyPlugin, *plugins)}
    refs = {"plugins": [plugin.__name__.lower() for plugin in plugins]}
    async with running_route(
        tables, upstream=upstream, dialect="dots", config=route(**refs, **more)
    ) as serving:
        yield serving


async def asked(upstream, exchange=None, plugins=(), **more):
    async with toys(upstream, plugins, **more) as serving:
        return await serving.serve(exchange or asking())


@pytest.fixture
async def dots():
    async with FakeUpstream() as upstream:
        yield upstream


# A whole answer, and what is told beside it.


async def test_a_request_and_its_answer_are_put_into_the_others_words(dots):
    dots.reply(json=ANSWER)
    served = await asked(dots)

    assert served.json() == {"said": "hello you", "why": "stop"}
    assert (dots.requests[0].target, dots.requests[0].json()) == ("/ask", {"to": "m", "ask": ["hi"]})
    assert (served.exchange.outcome.result, served.exchange.attempts[0].translated) == ("ok", True)
    assert served.exchange.attempts[0].complete


async def test_what_the_provider_told_beside_its_answer_comes_along_and_what_described_its_bytes_does_not(
    dots,
):
    headers = [("X-Request-Id", "r-9"), ("X-Ratelimit-Left", "3"), ("ETag", '"x"'), ("Set-Cookie", "a=b")]
    dots.reply(body=gzip.compress(orjson.dumps(ANSWER)), headers=[*headers, ("Content-Encoding", "gzip")])
    served = await asked(dots)

    assert served.json()["said"] == "hello you"
    assert served.reply.headers.get("x-request-id") == "r-9"
    assert served.reply.headers.get("x-ratelimit-left") == "3"
    assert served.reply.headers.get_all("content-type") == ["application/json"]
    assert not {"etag", "set-cookie", "content-encoding"} & {name.lower() for name, _ in served.reply.headers}


async def test_a_request_is_read_once_for_all_attempts_at_the_same_body(dots):
    dots.reply(json=ANSWER)

    class Twice(Plugin):
        @hookimpl
        async def around_upstream(self, exchange, call_next):
            await call_next(exchange)
            return await call_next(exchange)

    before = ToyPlugin.client.read
    served = await asked(dots, plugins=[Twice])

    assert len(served.exchange.attempts) == len(dots.requests) == 2
    assert ToyPlugin.client.read == before + 1


async def test_a_large_body_is_translated_beside_the_loop(dots, monkeypatch):
    threads = []
    decode = ToyClient.decode_request

    def watched(self, exchange, body, losses):
        threads.append(threading.current_thread() is threading.main_thread())
        return decode(self, exchange, body, losses)

    monkeypatch.setattr(ToyClient, "decode_request", watched)
    dots.reply(json=ANSWER)
    for say in ("hi", "hi " * 200_000):
        await asked(dots, asking(say=say))

    assert threads == [True, False]
    assert [len(request.json()["ask"][0]) for request in dots.requests] == [2, 600_000]


async def test_a_body_that_was_edited_meanwhile_is_read_again(dots):
    dots.reply(json=ANSWER)

    class Editing(Plugin):
        @hookimpl
        async def around_upstream(self, exchange, call_next):
            await call_next(exchange)
            exchange.set_body(orjson.dumps({"model": "m", "say": "again"}))
            return await call_next(exchange)

    await asked(dots, plugins=[Editing])

    assert [request.json()["ask"] for request in dots.requests] == [["hi"], ["again"]]


# Losses.


async def test_losses_are_told_in_a_header_and_in_the_log_under_the_callers_names(dots):
    dots.reply(json=ANSWER)
    with capture_logs() as logs:
        served = await asked(dots, asking(k=3, mood="good"))

    told = "the provider's dialect has no place for it"
    assert served.reply.headers.get("x-llmproxy-losses") == "k, mood"
    assert [entry["losses"] for entry in logs if entry["event"] == "translation_losses"] == [
        {"k": told, "mood": WHY}
    ]
    assert {loss.field for loss in served.exchange.losses} == {"k", "mood"}


async def test_a_route_that_allows_losses_tells_them_in_the_log_only(dots):
    dots.reply(json=ANSWER)
    with capture_logs() as logs:
        served = await asked(dots, asking(mood="good"), lossy="allow")

    assert "x-llmproxy-losses" not in served.reply.headers
    assert [entry["losses"] for entry in logs] == [{"mood": WHY}]


async def test_nothing_is_told_where_nothing_is_lost(dots):
    dots.reply(json=ANSWER)
    with capture_logs() as logs:
        served = await asked(dots)

    assert "x-llmproxy-losses" not in served.reply.headers
    assert logs == []


async def test_a_route_may_refuse_losses_and_then_nobody_is_asked(dots):
    served = await asked(dots, asking(k=3, mood="good"), lossy="refuse")

    assert (served.reply.status, served.json()["toy_error"]) == (400, "lossy_translation")
    assert f"mood: {WHY}" in served.json()["text"]
    assert "k: the provider's dialect" in served.json()["text"]
    assert dots.requests == []
    assert served.exchange.outcome.result == "refused"


async def test_names_that_callers_chose_to_break_the_header_are_told_harmlessly(dots):
    dots.reply(json=ANSWER)
    odd = {"a\r\nSet-Cookie: x": 1, "é,\x00": 1, "x" * 9999: 1, **{f"n{number}": 1 for number in range(99)}}
    with capture_logs():
        served = await asked(dots, asking(**odd))

    told = served.reply.headers.get("x-llmproxy-losses")
    assert served.reply.status == 200
    assert "set-cookie" not in served.reply.headers
    assert told.endswith("more")
    assert len(told) < 4000


async def test_losses_of_an_attempt_are_not_those_of_the_next(dots):
    dots.reply(json=ANSWER)

    class Editing(Plugin):
        @hookimpl
        async def around_upstream(self, exchange, call_next):
            await call_next(exchange)
            exchange.set_body(orjson.dumps({"model": "m", "say": "again"}))
            return await call_next(exchange)

    with capture_logs():
        served = await asked(dots, asking(mood="good"), plugins=[Editing])

    assert served.exchange.losses == ()
    assert "x-llmproxy-losses" not in served.reply.headers


# Errors.


async def test_a_providers_error_is_told_as_the_callers_dialect_has_it(dots):
    headers = [("Retry-After", "7"), ("X-Request-Id", "r-9")]
    dots.reply(429, json={"error": {"message": "Slow down", "type": "rate_limit_error"}}, headers=headers)
    served = await asked(dots)

    assert (served.reply.status, served.json()["text"]) == (429, "Slow down")
    assert served.reply.headers.get("retry-after") == "7"
    assert served.reply.headers.get_all("x-request-id") == ["r-9"]


async def test_an_error_in_a_good_status_is_an_error(dots):
    dots.reply(json={"oops": "Too many"})
    served = await asked(dots)

    assert (served.reply.status, served.json()["text"]) == (429, "Too many")
    assert not served.exchange.attempts[0].complete
    assert served.exchange.outcome.result == "upstream_error"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html>", []),
        (b'{"other": 1}', []),
        (b"", []),
        (b"no gzip", [("Content-Encoding", "gzip")]),
        (gzip.compress(b"{}", mtime=0)[:-3], [("Content-Encoding", "gzip")]),
        (b"{}", [("Content-Encoding", "br")]),
    ],
)
async def test_an_answer_that_cannot_be_read_is_the_upstreams_fault(dots, body, headers):
    dots.reply(body=body, headers=[("Content-Type", "application/json"), *headers])
    served = await asked(dots)

    assert (served.reply.status, served.json()["toy_error"]) == (502, "upstream_bad_answer")
    assert isinstance(served.exchange.attempts[0].error, UpstreamError)
    assert not served.exchange.attempts[0].complete


async def test_an_answer_larger_than_its_bound_is_not_read_on(dots, monkeypatch):
    monkeypatch.setattr("llmproxy.wholebodies.MOST", 1000)
    dots.reply(body=b"x" * 200_000, framing="chunked")
    served = await asked(dots)

    assert (served.reply.status, served.json()["toy_error"]) == (502, "upstream_too_large")


async def test_of_an_error_without_end_the_status_is_told(dots, monkeypatch):
    monkeypatch.setattr("llmproxy.wholebodies._MOST_OF_AN_ERROR", 1000)
    dots.reply(status=429, body=b"x" * 200_000, framing="chunked")
    served = await asked(dots)

    assert (served.reply.status, served.json()["toy_error"]) == (429, "rate_limit")


async def test_a_stream_without_end_is_not_read_on(dots, monkeypatch):
    monkeypatch.setattr("llmproxy.translation.MOST", 1000)
    dots.stream([*STREAM[:1], *[b"word and so on\n"] * 1000])
    served = await asked(dots, asking(stream=True))

    fault = served.exchange.attempts[0].error
    assert isinstance(fault, UpstreamError)
    assert fault.code == "upstream_too_large"
    # As an error where all of it came at once, before any of it had left.
    assert served.broken is fault or served.reply.status == fault.status


async def test_a_call_that_the_provider_has_not_is_refused_before_anybody_is_asked(dots):
    served = await asked(dots, asking("/toy/embed"))

    assert (served.reply.status, served.json()["toy_error"]) == (400, "not_supported_by_provider")
    assert "(embed)" in served.json()["text"]
    assert dots.requests == []


@pytest.mark.parametrize("said", ["too deep to be read", "too deep to be written"])
async def test_what_is_nested_too_deeply_is_the_callers_fault(dots, said):
    served = await asked(dots, asking(say=said))

    assert (served.reply.status, served.json()["toy_error"]) == (400, "too_complex")
    assert dots.requests == []


async def test_an_answer_that_is_nested_too_deeply_is_the_upstreams(dots):
    dots.reply(json={"answer": "too deep"})
    served = await asked(dots)

    assert (served.reply.status, served.json()["toy_error"]) == (502, "upstream_bad_answer")


async def test_a_websocket_is_not_translated(dots):
    exchange = asking()
    exchange.upgraded = True
    served = await asked(dots, exchange)

    assert served.json()["toy_error"] == "no_translation"


# Streams.


async def test_a_stream_is_translated_event_by_event(dots):
    dots.stream(STREAM)
    served = await asked(dots, asking(stream=True))

    assert served.body == TOLD
    assert served.reply.headers.get_all("content-type") == ["text/event-stream"]
    assert served.broken is None
    assert (served.exchange.outcome.result, served.exchange.attempts[0].complete) == ("ok", True)


async def test_events_leave_as_they_come_and_do_not_wait_for_the_end(dots):
    dots.stream(STREAM[:2], then="stall", framing="close")
    async with toys(dots) as serving:
        exchange = asking(stream=True)
        exchange.route = serving.generation.router.match("POST", "", "/toy/ask", lambda name: None, "").route
        exchange.client_face = exchange.route.face_of(exchange.request)
        reply = await exchange.route.pipeline.answer(exchange)
        pieces = reply.body.pieces()
        first = await anext(pieces)
        await pieces.aclose()

    assert first == b"+hello\n"


async def test_a_compressed_stream_is_read_all_the_same(dots):
    headers = [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")]
    dots.stream([gzip.compress(b"".join(STREAM))], headers=headers)
    served = await asked(dots, asking(stream=True))

    assert served.body == TOLD
    assert "content-encoding" not in served.reply.headers


async def test_a_stream_that_nobody_asked_for_is_collected(dots):
    dots.stream(STREAM)
    served = await asked(dots)

    assert served.json() == {"said": "hello you", "why": "stop"}


async def test_a_stream_that_nobody_asked_for_and_that_failed_is_an_error(dots):
    dots.stream([b"word hel\n", b"oops Overloaded\n"])
    served = await asked(dots)

    assert (served.reply.status, served.json()["text"]) == (503, "Overloaded")


async def test_a_stream_that_nobody_asked_for_and_that_was_cut_is_no_answer(dots):
    dots.stream(STREAM[:2])
    served = await asked(dots)

    assert (served.reply.status, served.json()["toy_error"]) == (502, "upstream_bad_answer")


async def test_a_whole_answer_is_told_as_the_stream_that_was_asked_for(dots):
    dots.reply(json=ANSWER)
    served = await asked(dots, asking(stream=True))

    assert served.body == b"+hello you\n-stop\n!\n"
    assert served.reply.headers.get("content-type") == "text/event-stream"


class Keeping(Plugin):
    """A cache that keeps everything."""

    kept: list[bytes]

    @hookimpl
    async def cache_store(self, exchange, reply):
        self.kept.append(reply.body)


@pytest.mark.parametrize("framing", ["chunked", "whole"])
async def test_an_error_inside_a_stream_ends_it_cleanly_and_is_neither_stored_nor_complete(dots, framing):
    Keeping.kept = []
    pieces = [b"id a-1\n", b"word hello\n", b"oops Overloaded\n", b"word ignored\n"]
    if framing == "chunked":
        dots.stream(pieces, delay=0.01)
    else:
        dots.reply(body=b"".join(pieces), headers=[("Content-Type", "text/event-stream")])
    served = await asked(dots, asking(stream=True), plugins=[Keeping])

    (attempt,) = served.exchange.attempts
    outcome = served.exchange.outcome
    assert served.body == b"+hello\n?Overloaded\n"
    assert served.broken is None
    assert Keeping.kept == []
    assert isinstance(attempt.error, ProviderError)
    assert (attempt.complete, outcome.result, outcome.error) == (False, "upstream_error", "overloaded_error")


async def test_a_whole_stream_is_stored_in_the_callers_words(dots):
    Keeping.kept = []
    dots.stream(STREAM, delay=0.01)
    await asked(dots, asking(stream=True), plugins=[Keeping])

    assert Keeping.kept == [TOLD]


@pytest.mark.parametrize("tail", [[], [b"what is this\n"]])
async def test_a_stream_that_was_cut_or_cannot_be_read_ends_with_an_error(dots, tail):
    Keeping.kept = []
    dots.stream([*STREAM[:2], *tail], delay=0.01)
    served = await asked(dots, asking(stream=True), plugins=[Keeping])

    (attempt,) = served.exchange.attempts
    assert served.body == b"+hello\n"
    assert isinstance(served.broken, ValueError)
    assert served.exchange.outcome.result == "cut"
    assert not attempt.complete
    assert isinstance(attempt.error, ValueError)
    assert Keeping.kept == []


async def test_a_stream_that_is_here_whole_and_was_cut_need_not_begin(dots):
    dots.reply(body=b"".join(STREAM[:2]), headers=[("Content-Type", "text/event-stream")])
    served = await asked(dots, asking(stream=True))

    assert (served.reply.status, served.json()["toy_error"]) == (502, "upstream_bad_answer")


async def test_a_connection_that_breaks_settles_the_attempt_with_its_error(dots):
    dots.stream(STREAM[:2], then="reset", after=120)
    served = await asked(dots, asking(stream=True))

    assert isinstance(served.broken, UpstreamError)
    assert served.exchange.attempts[0].error is served.broken


async def test_attempts_are_settled_when_their_translation_is(dots):
    done = []

    class Watching(Plugin):
        @hookimpl
        def attempt_done(self, exchange, attempt):
            done.append((attempt.complete, attempt.error))

    dots.stream(STREAM, delay=0.01)
    dots.reply(json=ANSWER)
    dots.reply(json={})
    async with toys(dots, [Watching]) as serving:
        await serving.serve(asking(stream=True))
        await serving.serve(asking())
        await serving.serve(asking())

    assert [(complete, type(error)) for complete, error in done] == [
        (True, type(None)),
        (True, type(None)),
        (False, UpstreamError),
    ]


def cut(data, places):
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


@given(st.lists(st.integers(0, 60), max_size=8))
def test_however_a_stream_is_cut_it_is_told_the_same(places):
    ended = []
    machine = Canonical(DotsDecoder(), ToyEncoder(None), lambda answer, error: ended.append((answer, error)))
    out = b"".join([machine.feed(piece) for piece in cut(b"".join(STREAM), places)]) + machine.close()

    ((answer, error),) = ended
    assert out == TOLD
    assert error is None
    assert answer.choices[0].content[0].text == "hello you"


def test_half_a_stream_has_no_end_and_no_answer():
    ended = []
    machine = Canonical(DotsDecoder(), ToyEncoder(None), lambda *told: ended.append(told))
    machine.feed(b"word hello\n")

    with pytest.raises(TruncatedStream):
        machine.close()
    assert ended == []


class Late(DotsDecoder):
    """Finds an error in what it held back."""

    def close(self):
        return [Failed(GatewayError(500, "late", "Late")), Finished("stop")]


def test_an_error_that_was_held_back_is_told_and_what_follows_it_is_not():
    ended = []
    machine = Canonical(Late(), ToyEncoder(None), lambda *told: ended.append(told))

    assert machine.close() == b"?Late\n"
    ((answer, error),) = ended
    assert (answer, error.code) == (None, "late")


# Counts.


async def test_a_count_is_made_here_where_the_provider_has_none_and_is_marked(dots):
    served = await asked(dots, asking("/toy/count"))

    assert served.json()["count"] > 0
    assert served.reply.headers.get("x-llmproxy-token-count") in {"estimate", "exact"}
    assert dots.requests == []


# Memory.


async def remembered():
    """Wait for what is written after a stream's end."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "remember"]
    if tasks:
        await asyncio.wait(tasks)


@pytest.mark.parametrize("streamed", [True, False])
async def test_callers_may_refer_to_an_answer_that_was_kept(dots, streamed):
    if streamed:
        dots.stream(STREAM, delay=0.01)
    dots.reply(json=ANSWER)
    async with toys(dots) as serving:
        await serving.serve(asking(stream=streamed))
        await remembered()
        served = await serving.serve(asking(after="a-1"))

    assert served.reply.status == 200
    assert dots.requests[1].json()["ask"] == ["hello you", "hi"]


async def test_a_count_is_of_the_conversation_that_it_refers_to(dots):
    dots.reply(json={**ANSWER, "answer": "word " * 100})
    async with toys(dots) as serving:
        await serving.serve(asking())
        short = await serving.serve(asking("/toy/count"))
        long = await serving.serve(asking("/toy/count", after="a-1"))

    assert long.json()["count"] > short.json()["count"] + 50


async def test_what_is_not_here_cannot_be_referred_to(dots):
    served = await asked(dots, asking(after="a-7"))

    assert (served.reply.status, served.json()["toy_error"]) == (404, "gone")
    assert dots.requests == []


async def test_a_signature_that_the_caller_cannot_hold_is_put_back_with_the_next_turn(dots):
    dots.reply(json={**ANSWER, "sign": "s-1"})
    async with toys(dots) as serving:
        await serving.serve(asking())
        await serving.serve(asking(turns=["hello you"]))
        await serving.serve(asking(turns=["something else"]))

    assert dots.requests[1].json()["signed"] == ["s-1"]
    assert "signed" not in dots.requests[2].json()


async def test_of_a_stream_that_failed_nothing_is_kept(dots):
    dots.stream([*STREAM[:2], b"rd you\noops Overloaded\n"], delay=0.01)
    async with toys(dots) as serving:
        await serving.serve(asking(stream=True))
        await remembered()
        served = await serving.serve(asking(after="a-1"))

    assert served.reply.status == 404


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(dots, monkeypatch):
    async def failing(*told):
        raise LookupError("memory")

    monkeypatch.setattr(ToyPlugin.client, "remember", failing)
    dots.reply(json=ANSWER)
    with capture_logs() as logs:
        served = await asked(dots)

    assert served.json()["said"] == "hello you"
    assert [entry["event"] for entry in logs] == ["not_remembered"]


async def test_a_route_of_the_providers_own_dialect_is_not_translated():
    async with FakeUpstream() as upstream:
        upstream.reply(json={"choices": []})
        served = await run_route(
            [], make_exchange(body={"model": "m", "messages": []}), upstream=upstream, dialect="openai"
        )

    assert served.reply.status == 200
    assert not served.exchange.attempts[0].translated


async def test_what_asks_nothing_of_a_model_is_answered_here(dots, monkeypatch):
    def answer_here(self, exchange, body):
        return Reply.json({"here": True}) if b"nobody" in body else None

    monkeypatch.setattr(ToyClient, "answer_here", answer_here, raising=False)
    served = await asked(dots, asking(say="nobody"))

    assert served.json() == {"here": True}
    assert dots.requests == []
    dots.reply(json={"answer": "yes"})
    assert (await asked(dots)).json()["said"] == "yes"
