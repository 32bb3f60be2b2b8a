"""What the tests of this plugin share: dialects as the example declares them, answers that their servers gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import records

from llmproxy.canonical import Answer, Collector
from llmproxy.config import decode_struct
from llmproxy.formats import parse
from llmproxy.plugin import Exchange, Headers, Reply
from llmproxy.testing import make_exchange
from llmproxy_declared.config import DeclaredConfig
from llmproxy_declared.upstream import DeclaredUpstream

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "declared.yaml"

#: Which of the example's dialects a recorded one is.
RECORDED = {
    "ollama.generate": "ollama-generate",
    "cohere.chat_v1": "cohere-v1",
    "openai.completions": "completions",
}

Declare = Callable[..., DeclaredUpstream]


def declared(name: str = "test", **config: Any) -> DeclaredUpstream:
    """Return the face of a dialect that is declared so."""
    return DeclaredUpstream(name, decode_struct(DeclaredConfig, config, f"plugins.{name}"))


def example(name: str, **changes: Any) -> DeclaredUpstream:
    """Return one of the example's dialects."""
    tree: Any = parse(EXAMPLE.read_text(), "yaml")
    config = {key: value for key, value in tree["plugins"][name].items() if key != "use"}
    return declared(name, **config, **changes)


def minimal(**config: Any) -> dict[str, Any]:
    """Return a declaration as small as can be, and what is added to it."""
    return {"path": "/ask", "body": {"q": "{prompt}"}, "answer": "/a", **config}


def exchange(*, streamed: bool = False) -> Exchange:
    """Return an exchange as a face meets it."""
    return make_exchange(streamed=streamed)


def reply(kind: str = "application/json", status: int = 200) -> Reply:
    """Return the head of an answer."""
    return Reply(status, Headers.of({"Content-Type": kind}))


def whole(face: DeclaredUpstream, body: Any) -> Answer:
    """Read a whole answer."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = face.decode_answer(exchange(), reply(), data)
    assert isinstance(answer, Answer)
    return answer


def sse(*documents: Any) -> bytes:
    """Write a stream of events; text stands as it is."""
    pieces = [each.encode() if isinstance(each, str) else orjson.dumps(each) for each in documents]
    return b"".join(b"data: " + piece + b"\n\n" for piece in pieces)


def streamed(face: DeclaredUpstream, data: bytes, kind: str = "text/event-stream") -> Collector:
    """Read a stream that comes in one piece."""
    decoder = face.stream_decoder(exchange(streamed=True), reply(kind))
    assert decoder is not None
    collector = Collector()
    for event in (*decoder.feed(data), *decoder.close()):
        collector.feed(event)
    return collector


def of_recorded() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each recorded answer that the example declares a dialect for, with that dialect's name."""
    for record in records():
        name = RECORDED.get(record["dialect"], "")
        if name == "completions" and record["provider"] == "writer":
            name = "writer"
        if name:
            yield record, name


def bytes_of(answer: dict[str, Any]) -> bytes:
    """Return a recorded answer's body."""
    if "body" in answer:
        return orjson.dumps(answer["body"])
    return "".join(answer.get("events") or answer.get("lines") or [answer.get("text", "")]).encode()


@pytest.fixture(scope="session")
def recordings() -> list[tuple[dict[str, Any], str]]:
    """Every recorded answer that the example declares a dialect for."""
    return list(of_recorded())
