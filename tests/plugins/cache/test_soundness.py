"""What came with status 200 is not always an answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.cache.talking import KEEP, bench, completion

from llmproxy.plugin import StoredReply
from llmproxy.testing import FakeUpstream
from llmproxy_cache.soundness import is_answer
from llmproxy_openai.keyrules import CHAT, EMBEDDINGS, SPEECH

JSON = b"application/json"
GOOD = b'{"data":[{"embedding":[0.5]}]}'


def stored(body: bytes, kind: bytes = JSON) -> StoredReply:
    return StoredReply(200, ((b"content-type", kind),) if kind else (), body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (GOOD[:-1], JSON),
        (GOOD + b"}", JSON),
        (b"<html>Sign in to the network</html>", b"text/html; charset=utf-8"),
        (b"upstream overloaded", b"text/plain"),
        (b'{"error":{"message":"overloaded"}}', JSON),
        (b'{"error":"overloaded","data":[]}', b""),
        (b'{"object":"error","message":"overloaded"}', JSON),
        (b'[{"embedding":[0.5]}', JSON),
        (b"[" * 100_000, JSON),
    ],
)
def test_what_is_no_answer_to_its_end_is_told_from_one(body: bytes, kind: bytes) -> None:
    assert not is_answer(stored(body, kind), EMBEDDINGS)


@pytest.mark.parametrize("body", [GOOD, b" \n" + GOOD, b'{"error":null,"object":"list"}', b"[[0.5]]"])
@pytest.mark.parametrize("kind", [JSON, b"text/plain", b""])
def test_answers_are_known_whatever_they_are_called(body: bytes, kind: bytes) -> None:
    assert is_answer(stored(body, kind), EMBEDDINGS)


def test_events_are_judged_by_their_dialect() -> None:
    assert is_answer(stored(b"data: [DONE]\n\n", b"text/event-stream"), CHAT)
    assert is_answer(stored(b'{"done":false}\n{"done":true}\n', b"application/x-ndjson"), CHAT)


def test_speech_is_no_text() -> None:
    assert is_answer(stored(b"\xff\xf3", b"audio/mpeg"), SPEECH)
    assert not is_answer(stored(b'{"detail":"no such voice"}'), SPEECH)
    assert not is_answer(stored(b"no such voice", b"text/plain"), SPEECH)


def test_of_unknown_calls_only_what_says_it_is_json_must_be() -> None:
    assert is_answer(stored(b"\x00", b"application/octet-stream"), None)
    assert is_answer(stored(b"{}", b"application/problem+json"), None)
    assert not is_answer(stored(b"{", JSON), None)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/v1/embeddings", {"model": "e", "input": "x"}),
        ("/v1/moderations", {"model": "e", "input": "x"}),
        ("/v1/rerank", {"model": "e", "query": "x", "documents": ["y"]}),
    ],
)
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_a_page_or_an_error_that_says_200_is_not_kept(path: str, ask: Any, kind: str) -> None:
    told = b"<html>Sign in</html>" if kind == "text/html" else b'{"error":{"message":"overloaded"}}'

    def script(upstream: FakeUpstream) -> None:
        upstream.reply(body=told, headers=[("Content-Type", kind)])

    async with bench(script, **KEEP) as b:
        await b.ask(ask, path)
        await b.ask(ask, path)

        assert b.calls == 2


async def test_an_answer_that_was_cut_behind_its_finish_is_not_kept() -> None:
    cut = orjson.dumps(completion())[:-20]

    def script(upstream: FakeUpstream) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        upstream.raw(head + cut)

    async with bench(script, **KEEP) as b:
        await b.ask()
        await b.ask()

        assert b.calls == 2
