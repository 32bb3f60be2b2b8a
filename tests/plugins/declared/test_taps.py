from __future__ import annotations

import orjson

from llmproxy.plugin import Usage, WholeTap
from llmproxy_declared.taps import StreamTap, WholeUsage

from .conftest import declared, example, exchange, minimal, reply, sse

STREAM = minimal(stream={"text": "/d", "usage": {"input": "/i", "output": "/o"}, "end": "[DONE]"})


def tap() -> StreamTap:
    found = declared(**STREAM).tap(exchange(streamed=True), reply("text/event-stream"))
    assert isinstance(found, StreamTap)
    return found


def test_a_stream_is_judged_as_its_decoder_reads_it():
    one = tap()
    one.feed(sse({"i": 4}))
    before = one.first_output
    one.feed(sse({"d": "a"}))
    during = (one.first_output, one.terminal)
    one.feed(sse({"o": 2}, "[DONE]"))
    one.end()

    assert (before, during) == (False, (True, False))
    assert (one.terminal, one.cut, one.failed, one.usage) == (True, False, False, Usage(4, 0, 0, 2, 0))


def test_a_stream_without_its_end_was_cut():
    one = tap()
    one.feed(sse({"d": "a"}))
    one.end()

    assert one.cut
    assert not one.terminal


def test_an_error_is_an_end():
    one = tap()
    one.feed(sse({"error": "no"}))
    one.end()

    assert (one.failed, one.terminal, one.first_output) == (True, True, False)


def test_nonsense_is_a_failure():
    one = tap()
    for data in (sse("no json"), sse({"d": "a"}, "[DONE]")):
        one.feed(data)
    one.end()
    one.fail(ConnectionResetError())

    assert one.failed
    assert not one.first_output


def test_a_call_is_output():
    one = example("workers-ai").tap(exchange(streamed=True), reply("text/event-stream"))
    assert one is not None
    one.feed(sse({"tool_calls": [{"name": "f"}]}))

    assert one.first_output


def test_a_whole_answer_tells_usage_at_its_end():
    face = declared(**minimal(answer={"text": "/a", "usage": {"input": "/i"}}))
    one = face.tap(exchange(), reply())
    assert isinstance(one, WholeTap)
    one.feed(orjson.dumps({"a": "x", "i": 3}))
    one.end()

    assert one.usage == Usage(3)


def test_half_an_answer_tells_none():
    usage = WholeUsage(lambda told: Usage(1))

    assert usage.whole(b'{"a":') == (None, False)
    assert usage.whole(b"[" * 5000) == (None, False)
    assert usage.last(b'"usage": {}') is None
