"""Recorded answers, varied as providers and proxies vary them without meaning anything by it, read the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import orjson
import pytest
from tests.integration.replaying import PRESENT, recordings

from llmproxy.canonical import Answer, Collector, Foreign
from llmproxy_anthropic.answers import decode_answer as read_message
from llmproxy_anthropic.streams import MessageDecoder
from llmproxy_bedrock.answers import decode_answer as read_converse
from llmproxy_cohere.answers import decode_answer as read_cohere
from llmproxy_cohere.streams import ChatDecoder
from llmproxy_gemini.answers import read_answer as read_gemini
from llmproxy_gemini.streams import ChunkDecoder as GeminiDecoder
from llmproxy_ollama.answers import read_answer as read_ollama
from llmproxy_ollama.lines import LineDecoder
from llmproxy_openai.chat.answers import decode_answer as read_completion
from llmproxy_openai.chat.chunks import ChunkDecoder
from llmproxy_openai.responses.answer_reader import read_answer as read_response
from llmproxy_openai.responses.stream_reader import ResponsesDecoder

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

WHOLE: dict[str, Callable[[Any], Any]] = {
    "openai.chat": read_completion,
    "openai.responses": lambda told: read_response(orjson.dumps(told)),
    "anthropic.messages": lambda told: read_message(orjson.dumps(told)),
    "gemini.generate": read_gemini,
    "bedrock.converse": lambda told: read_converse(orjson.dumps(told)),
    "cohere.chat_v2": read_cohere,
    "ollama.chat": read_ollama,
}
STREAMED: dict[str, Callable[[], Any]] = {
    "openai.chat": ChunkDecoder,
    "openai.responses": ResponsesDecoder,
    "anthropic.messages": MessageDecoder,
    "gemini.stream": GeminiDecoder,
    "cohere.chat_v2": ChatDecoder,
}
#: What callers or their tools write, and what is handed on as it stands: there every member means something.
FREE = frozenset(
    {"input", "args", "arguments", "response", "metadata", "tools", "logprobs", "logprobsResult", "schema"}
)
#: Every so many recordings one is looked at.
EVERY = 5


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        told = {key: value[key] if key in FREE else reversed_keys(value[key]) for key in value}
        return dict(reversed(told.items()))
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def with_more(value: Any, more: Any) -> Any:
    if isinstance(value, dict):
        told = {key: each if key in FREE else with_more(each, more) for key, each in value.items()}
        return {**told, "x_later": more}
    return [with_more(each, more) for each in value] if isinstance(value, list) else value


VALUES: dict[str, Callable[[Any], Any]] = {
    "members in another order": reversed_keys,
    "members that are new and null": lambda told: with_more(told, None),
    "members that are new objects": lambda told: with_more(told, {"a": [1]}),
}
BYTES: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda data: data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "comments": lambda data: b": hello\n\n" + data.replace(b"\ndata:", b"\n: here\ndata:"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "no blank line at the end": bytes.rstrip,
    "retry times": lambda data: b"retry: 3000\n" + data,
    "no space behind the colon": lambda data: data.replace(b"\ndata: ", b"\ndata:"),
    "events that are new": lambda data: b'event: x_later\ndata: {"type": "x_later"}\n\n' + data,
}


@cache
def kept(dialect: str, key: str) -> tuple[dict[str, Any], ...]:
    """Return some recorded good answers of a dialect that hold nothing which is handed on as it stands."""
    good = [
        record
        for record in recordings(dialect)
        if record["response"]["status"] < 400 and key in record["response"]
    ]
    return tuple(good[::EVERY])


def streamed(dialect: str, data: bytes) -> Answer:
    decoder, collector = STREAMED[dialect](), Collector()
    for event in [*decoder.feed(data), *decoder.close()]:
        collector.feed(event)
    assert collector.failed is None
    return collector.answer


def is_plain(answer: Any) -> bool:
    blocks: Iterator[Any] = (block for choice in answer.choices for block in choice.content)
    return not any(isinstance(block, Foreign) for block in blocks)


def outcome(read: Callable[[], Any]) -> Any:
    """Return an answer, or that it is none: what is recorded as an error stays one."""
    try:
        return read()
    except Exception as fault:
        return type(fault)


@pytest.mark.parametrize("variation", VALUES)
@pytest.mark.parametrize("dialect", WHOLE)
def test_a_whole_answer_reads_the_same_with(dialect: str, variation: str) -> None:
    read, vary = WHOLE[dialect], VALUES[variation]
    for record in kept(dialect, "body"):
        body = record["response"]["body"]
        truth = outcome(lambda body=body: read(body))
        if not isinstance(truth, type) and not is_plain(truth):
            continue

        assert outcome(lambda body=body: read(vary(body))) == truth, record["id"]


@pytest.mark.parametrize("variation", BYTES)
@pytest.mark.parametrize("dialect", STREAMED)
def test_a_stream_reads_the_same_with(dialect: str, variation: str) -> None:
    for record in kept(dialect, "events"):
        data = "".join(record["response"]["events"]).encode()
        truth = outcome(lambda data=data: streamed(dialect, data))

        assert outcome(lambda data=data: streamed(dialect, BYTES[variation](data))) == truth, record["id"]


def test_lines_of_a_stream_may_end_in_crlf_and_the_last_one_in_nothing() -> None:
    for record in kept("ollama.chat", "lines"):
        lines = [line.rstrip("\n") for line in record["response"]["lines"]]
        told = []
        for data in ("\n".join(lines) + "\n", "\r\n".join(lines)):
            decoder = LineDecoder()
            told.append([*decoder.feed(data.encode()), *decoder.close()])

        assert told[0] == told[1], record["id"]
