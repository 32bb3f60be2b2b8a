"""Any answer that the canonical form can hold, told by each dialect and again in its other form: the same answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Choice,
    Citation,
    Collector,
    Losses,
    Reasoning,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import Exchange, Form, Headers, Reply, Usage
from llmproxy.testing import make_exchange
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.upstream import GeminiUpstream
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream, ResponsesUpstream

#: Each dialect: its faces, and what an SDK asks of it.
DIALECTS: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    "chat": (
        OpenAIClient(),
        OpenAIUpstream(),
        "/v1/chat/completions",
        {
            "model": "m",
            "messages": [{"role": "user", "content": "a"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "responses": (
        OpenAIClient(),
        ResponsesUpstream(),
        "/v1/responses",
        {"model": "m", "input": "a", "stream": True},
    ),
    "messages": (
        AnthropicClient(),
        AnthropicUpstream(),
        "/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "stream": True},
    ),
    "generate": (
        GeminiClient(),
        GeminiUpstream(),
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "a"}]}]},
    ),
}
EVENTS = Reply(200, Headers([(b"Content-Type", b"text/event-stream")]))

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
CITED = st.builds(Citation, kind=st.just("url"), url=st.just("https://example.com/a"), title=WORDS)
TEXTS = st.builds(Text, text=WORDS, citations=st.lists(CITED, max_size=1).map(tuple))
THOUGHTS = st.builds(Reasoning, text=WORDS, signature=st.just(""))
CALLS = st.builds(
    ToolCall,
    id=st.uuids().map(lambda name: f"call_{name.hex[:12]}"),
    name=st.sampled_from(["look", "go_there"]),
    arguments=st.dictionaries(st.sampled_from("abc"), WORDS | st.integers(0, 9), max_size=2).map(
        lambda told: orjson.dumps(told).decode()
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    thought, said = draw(st.lists(THOUGHTS, max_size=1)), draw(st.lists(TEXTS, max_size=1))
    calls = draw(st.lists(CALLS, max_size=3, unique_by=lambda call: call.id))
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return Answer(
        id="answer-1",
        model="m-2026",
        created=1_700_000_000,
        choices=(Choice(content=(*thought, *said, *calls), finish=finish),),
        usage=Usage(*draw(st.tuples(*[st.integers(0, 99)] * 5))),
    )


def asked(dialect: str) -> Exchange:
    """Return an exchange whose caller asked for a stream, as its own dialect's faces will find it."""
    client, _, path, body = DIALECTS[dialect]
    exchange = make_exchange(path=path)
    exchange.client_face = client
    exchange.set_body(orjson.dumps(body))
    client.decode_request(exchange, orjson.dumps(body), Losses())
    return exchange


def read(dialect: str, exchange: Exchange, body: bytes, *, streamed: bool) -> Answer:
    """Return what a provider would be understood to say with these bytes."""
    face = DIALECTS[dialect][1]
    if not streamed:
        answer = face.decode_answer(exchange, Reply(200), body)
        assert isinstance(answer, Answer)
        return answer
    decoder, collector = face.stream_decoder(exchange, EVENTS), Collector()
    for event in [*decoder.feed(body), *decoder.close()]:
        collector.feed(event)
    assert collector.failed is None
    return collector.answer


def live(dialect: str, exchange: Exchange, answer: Answer) -> tuple[bytes, bytes]:
    """Return what a caller gets of an answer: whole, and as a stream."""
    client = DIALECTS[dialect][0]
    encoder = client.stream_encoder(exchange)
    pieces = [piece for event in events_of(answer) for piece in encoder.feed(event)]
    return client.encode_answer(exchange, answer).body, b"".join([*pieces, *encoder.close()])


@pytest.mark.parametrize("dialect", DIALECTS)
@given(answer=answers())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_form_told_again_says_what_the_other_said(dialect, answer):
    client, exchange = DIALECTS[dialect][0], asked(dialect)
    whole, stream = live(dialect, exchange, answer)
    form: Form = client.form(exchange, exchange._body)
    told_stream = client.retell(whole, form._replace(streamed=False), form)
    told_whole = client.retell(stream, form, form._replace(streamed=False))

    assert read(dialect, exchange, told_stream, streamed=True) == read(
        dialect, exchange, stream, streamed=True
    )
    assert read(dialect, exchange, told_whole, streamed=False) == read(
        dialect, exchange, whole, streamed=False
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@given(answer=answers())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_whole_answer_comes_back_from_a_stream_as_it_was(dialect, answer):
    client, exchange = DIALECTS[dialect][0], asked(dialect)
    whole = client.encode_answer(exchange, answer).body
    form: Form = client.form(exchange, exchange._body)
    stream = client.retell(whole, form._replace(streamed=False), form)

    assert orjson.loads(client.retell(stream, form, form._replace(streamed=False))) == orjson.loads(whole)
