"""Two dialects for the tests of translation: callers speak `toy`, providers `dots`, and neither is any real one.

Toy: `{"model", "say", "stream"?, "k"?}` gives `{"said", "why", "signed"?}`; as a stream, lines `+text`, `-why`, and
`!` at the end. `/toy/count` and `/toy/embed` are calls of their own; `{"after": ID}` goes on with an earlier answer.

Dots: `{"to", "ask"}` gives `{"answer", "id"?}`; as a stream, lines `id NAME`, `word TEXT`, `sign TEXT`, `oops TEXT`
and a dot alone at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    CountAnswer,
    CountRequest,
    Delta,
    EmbedAnswer,
    EmbedRequest,
    Failed,
    Finished,
    GenerateRequest,
    Losses,
    Message,
    ModelAnswer,
    ModelRequest,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    TruncatedStream,
)
from llmproxy.dialects import Memory, StreamDecoder, StreamEncoder, Untranslated, UntranslatedClient
from llmproxy.plugin import (
    BadRequest,
    Claim,
    Edit,
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    MessageEdit,
    NoConfig,
    Plugin,
    Registry,
    Reply,
    Tap,
    UpstreamRequest,
    hookimpl,
)
from llmproxy.refusals import error_of

WHY = "the toy has no other place for it"


class ToyEncoder:
    """Canonical events to lines."""

    def __init__(self, exchange: Exchange) -> None:
        self.failed = False

    def feed(self, event: StreamEvent) -> Iterable[bytes]:
        if isinstance(event, Delta):
            return [f"+{event.text}\n".encode()]
        if isinstance(event, Failed):
            self.failed = True
            return [f"?{event.error.message}\n".encode()]
        return [f"-{event.reason}\n".encode()] if isinstance(event, Finished) else []

    def close(self) -> Iterable[bytes]:
        return [] if self.failed else [b"!\n"]


class ToyClient(UntranslatedClient):
    """How callers speak it; `read` counts how often a request was decoded."""

    wire = "toy"
    claims: Sequence[Claim] = (Claim("/toy/*"),)
    markers: Sequence[str] = ()
    loss_names: Mapping[str, str] = {"top_k": "k"}

    def __init__(self) -> None:
        self.read = 0

    def reads_body(self, exchange: Exchange) -> bool:
        return True

    def open(self, exchange: Exchange, body: bytes) -> None:
        told = orjson.loads(body or b"{}")
        exchange.model, exchange.streamed = told.get("model"), bool(told.get("stream"))

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        raise BadRequest("no_conversation", "A toy has none.")

    def error(self, error: GatewayError) -> Reply:
        return Reply.json({"toy_error": error.code, "text": error.message}, error.status)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        return f"?{error.code}\n".encode()

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        return Reply.json(list(names)) if exchange.request.path.endswith("/models") else None

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        self.read += 1
        told = orjson.loads(body)
        if told.get("say") == "too deep to be read":
            raise RecursionError
        for name in told.keys() - {"model", "say", "stream", "k", "after", "turns"}:
            losses.add(name, WHY)
        if exchange.request.path.endswith("/embed"):
            return EmbedRequest(model=told["model"], inputs=(told["say"],))
        request = GenerateRequest(
            model=told["model"],
            messages=(
                Message(role="user", content=(Text(text=told["say"]),)),
                *map(_turn, told.get("turns", ())),
            ),
            top_k=told.get("k"),
            streamed=exchange.streamed,
            user=told.get("after", ""),
        )
        return CountRequest(request=request) if exchange.request.path.endswith("/count") else request

    async def recall(self, exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
        if not request.user:
            return request
        before = await memory.get("toy", request.user)
        if before is None:
            raise BadRequest("gone", "What it refers to is not here.", status=404)
        turns = (Message(role="assistant", content=(Text(text=before.decode()),)), *request.messages)
        return GenerateRequest(model=request.model, messages=turns, streamed=request.streamed)

    async def remember(
        self, exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory
    ) -> None:
        await memory.put("toy", answer.id, _said(answer).encode())

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        if isinstance(answer, Answer) and _said(answer) == "too deep":
            raise TypeError("Recursion limit reached")
        if isinstance(answer, CountAnswer):
            return Reply.json({"count": answer.tokens})
        if isinstance(answer, EmbedAnswer):
            return Reply.json({"vectors": answer.vectors})
        return Reply.json({"said": _said(answer), "why": answer.choices[0].finish})

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        return ToyEncoder(exchange)


class DotsDecoder:
    """Lines to canonical events."""

    def __init__(self) -> None:
        self.rest = b""
        self.ended = self.open = False

    def feed(self, data: bytes) -> Iterable[StreamEvent]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [event for line in lines for event in self._line(*line.decode().partition(" ")[::2])]

    def _line(self, word: str, text: str) -> list[StreamEvent]:
        match word:
            case "id":
                return [Started(id=text)]
            case "word":
                first = [] if self.open else [BlockStarted(1, Text(text=""))]
                self.open = True
                return [*first, Delta(1, text)]
            case "sign":
                return [BlockStarted(0, Reasoning(origin="dots")), Signed(0, text), BlockEnded(0)]
            case "oops":
                return [Failed(error_of({"message": text, "type": "overloaded_error"}))]
            case ".":
                self.ended = True
                return [BlockEnded(1), Finished("stop")] if self.open else [Finished("stop")]
        raise ValueError(f"{word!r} is no word of this dialect")

    def close(self) -> Iterable[StreamEvent]:
        if not self.ended:
            raise TruncatedStream("there was no dot")
        return []


class DotsUpstream(Untranslated):
    """How its providers speak."""

    wire = "dots"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        return UpstreamRequest("POST", exchange.request.target, Headers(), body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        return [(b"X-Dots-Key", api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        return None

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        if not isinstance(request, GenerateRequest):
            return None
        if request.top_k is not None:
            losses.lose("top_k")
        turns = [list(message.content) for message in request.messages]
        if _words(turns[0]) == "too deep to be written":
            raise TypeError("Recursion limit reached")
        told: dict[str, Any] = {
            "to": endpoint.model or request.model,
            "ask": [_words(turn) for turn in turns],
        }
        if signed := [b.signature for turn in turns for b in turn if isinstance(b, Reasoning)]:
            told["signed"] = signed
        return UpstreamRequest("POST", "/ask", Headers.of({"X-Asked": "1"}), orjson.dumps(told))

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> Answer:
        told = orjson.loads(body)
        if "oops" in told:
            raise error_of({"message": told["oops"], "type": "rate_limit_error"})
        thought = (Reasoning(signature=told["sign"], origin="dots"),) if "sign" in told else ()
        content = (*thought, Text(text=told["answer"]))
        return Answer(id=told.get("id", ""), choices=(Choice(content=content, finish="stop"),))

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        return DotsDecoder() if reply.headers.get("content-type") == "text/event-stream" else None


class ToyPlugin(Plugin[NoConfig]):
    """Registers both."""

    client = ToyClient()

    @hookimpl
    def register(self, registry: Registry) -> None:
        registry.dialect("toy", client=self.client)
        registry.dialect("dots", upstream=DotsUpstream())


def _turn(text: str) -> Message:
    return Message(role="assistant", content=(Text(text=text),))


def _words(turn: Sequence[Any]) -> str:
    return " ".join(block.text for block in turn if isinstance(block, Text))


def _said(answer: Answer) -> str:
    return "".join(block.text for block in answer.choices[0].content if isinstance(block, Text))
