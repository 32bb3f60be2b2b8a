"""The upstream face that answers in this process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import orjson

from llmproxy.plugin import (
    BadRequest,
    Body,
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    Reply,
    StateKey,
    StreamDecoder,
    Tap,
    Untranslated,
    UpstreamRequest,
    Usage,
    patch,
    scan_members,
)
from llmproxy_demo import chat, responses, words
from llmproxy_demo.answers import Answer as Echo
from llmproxy_demo.answers import answer_messages, answer_text
from llmproxy_demo.directives import Directives

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelAnswer, ModelRequest

MODEL = "echo"
_READ = frozenset({"model"})
_DIMENSIONS = 64
_MAX_DIMENSIONS = 4096


class Progress:
    """A tap that need not read: the model itself notes here how far its answer has come."""

    def __init__(self) -> None:
        self.first_output = False
        self.terminal = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Learn nothing new."""

    def end(self) -> None:
        """Learn nothing new."""

    def fail(self, error: BaseException) -> None:
        """Learn nothing new."""

    def finish(self, usage: Usage) -> None:
        """Note that the answer is whole."""
        self.first_output = self.terminal = True
        self.usage = usage


_PROGRESS = StateKey[Progress]("demo.progress")


class DemoUpstream(Untranslated):
    """The model `echo`: OpenAI's API without a network."""

    wire = "openai"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Put the endpoint's model name into the body, as the caller of a provider would."""
        # Where members stand is only known once somebody asked.
        members = exchange.members or (scan_members(body, _READ) if exchange.model is not None else {})
        model = members.get("model")
        if model is not None and endpoint.model is not None:
            body = patch(body, [(model.value_start, model.value_end, orjson.dumps(endpoint.model))])
        return UpstreamRequest(exchange.request.method, exchange.request.target, Headers(), body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return none: nobody is asked."""
        return []

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Return what the model noted on this exchange."""
        return exchange.state.get(_PROGRESS)

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request as the model reads it."""
        from llmproxy_demo import translation  # noqa: PLC0415  # only callers of other dialects need it

        return translation.encode(request, endpoint.model or request.model, losses)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read the model's whole answer."""
        from llmproxy_demo import translation  # noqa: PLC0415  # likewise

        return translation.decode(body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return what reads the model's stream."""
        from llmproxy_demo.translation import EchoDecoder  # noqa: PLC0415  # likewise

        return EchoDecoder() if reply.is_event_stream else None

    async def send(self, exchange: Exchange, request: UpstreamRequest) -> Reply:
        """Answer like a provider, errors included."""
        progress = exchange.state[_PROGRESS] = Progress()
        path = request.target.partition("?")[0].rstrip("/")
        try:
            if request.method == "GET":
                return _listing(path)
            body = request.body if isinstance(request.body, bytes) else b""
            return await _answer(path, _parsed(body), body, progress)
        except GatewayError as error:
            return _refusal(error)


async def _answer(path: str, asked: dict[str, Any], body: bytes, progress: Progress) -> Reply:
    model = asked.get("model")
    if not isinstance(model, str) or model.rpartition("/")[2] != MODEL:
        raise BadRequest("model_not_found", f"The demo upstream has one model, {MODEL!r}.", status=404)
    if path.endswith("/embeddings"):
        return await _embed(asked, model, body, progress)
    if path.endswith("/chat/completions"):
        answer = answer_messages(asked.get("messages"), model, body)
        return await _say(answer, asked, _chat_events(answer, asked), chat.completion, progress)
    if path.endswith("/responses"):
        said = asked.get("input")
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        answer = answer_messages(messages, model, body)
        return await _say(answer, asked, _response_events(answer), responses.response, progress)
    raise BadRequest("not_found", f"The demo upstream does not serve {path[:200]!r}.", status=404)


Parts = tuple[Iterable[bytes], Iterable[bytes], Iterable[bytes]]


async def _say(answer: Echo, asked: dict[str, Any], parts: Parts, shape: Any, progress: Progress) -> Reply:
    """Give the answer whole or as a stream, and misbehave as told."""
    directives = answer.directives
    await _before(directives)
    if asked.get("stream") is True:
        fields = Headers.of({"Content-Type": "text/event-stream"})
        return Reply(200, fields, Body.pumped(_paced(answer, parts, progress)))
    await asyncio.sleep(directives.slow * len(answer.pieces))
    if directives.stall_after is not None:
        await asyncio.sleep(directives.stall)
    data = orjson.dumps(shape(answer))
    if directives.cut_after is not None:
        fields = Headers.of({"Content-Type": "application/json", "Content-Length": str(len(data))})
        return Reply(200, fields, Body.pumped(_half(data)))
    progress.finish(answer.usage)
    return Reply(200, Headers.of({"Content-Type": "application/json"}), data)


async def _paced(answer: Echo, parts: Parts, progress: Progress) -> AsyncIterator[bytes]:
    """Yield a stream's events, slow, stalled or cut as told."""
    directives = answer.directives
    opening, said, closing = parts
    yield b"".join(opening)
    for place, event in enumerate(said):
        await _at_word(directives, place)
        progress.first_output = True
        yield event
    await _at_end(directives, len(answer.pieces))
    progress.finish(answer.usage)
    yield b"".join(closing)


async def _before(directives: Directives) -> None:
    if directives.stall_after is None:
        await asyncio.sleep(directives.stall)
    if directives.fail is not None:
        raise GatewayError(
            directives.fail,
            _code(directives.fail),
            "You told me to fail.",
            retry_after=directives.retry_after,
        )


async def _at_word(directives: Directives, place: int) -> None:
    if place == directives.stall_after:
        await asyncio.sleep(directives.stall)
    if place == directives.cut_after:
        raise _cut()
    if place and directives.slow:
        await asyncio.sleep(directives.slow)


async def _at_end(directives: Directives, length: int) -> None:
    """Do what was told for a place that the answer has not reached, before its end marker."""
    if directives.stall_after is not None and directives.stall_after >= length:
        await asyncio.sleep(directives.stall)
    if directives.cut_after is not None:
        raise _cut()


async def _half(data: bytes) -> AsyncIterator[bytes]:
    yield data[: len(data) // 2]
    raise _cut()


def _cut() -> ConnectionResetError:
    return ConnectionResetError("the demo model was told to cut its answer")


def _chat_events(answer: Echo, asked: dict[str, Any]) -> Parts:
    options = asked.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    said = (chat.word(answer, piece) for piece in answer.pieces)
    return [chat.opening(answer)], said, chat.closing(answer, include_usage=include_usage)


def _response_events(answer: Echo) -> Parts:
    events = responses.Events(answer)
    return events.opening(), map(events.word, answer.pieces), events.closing()


async def _embed(asked: dict[str, Any], model: str, body: bytes, progress: Progress) -> Reply:
    texts = list(_texts(asked.get("input")))
    dimensions = asked.get("dimensions") or _DIMENSIONS
    if type(dimensions) is not int or not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise BadRequest("invalid_value", f"'dimensions' must be from 1 to {_MAX_DIMENSIONS}.")
    answer = answer_text(texts[0], model, body, sum(map(words.count_tokens, texts)))
    await _before(answer.directives)
    data = []
    for index, text in enumerate(texts):
        numbers = words.vector(text, dimensions)
        base64_asked = asked.get("encoding_format") == "base64"
        shown = base64.b64encode(words.packed(numbers)).decode() if base64_asked else numbers
        data.append({"object": "embedding", "index": index, "embedding": shown})
    progress.finish(Usage(input=answer.input_tokens))
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    return Reply.json({"object": "list", "data": data, "model": model, "usage": usage})


def _texts(given: Any) -> Iterator[str]:
    """Yield each text to embed; a list of numbers is one text of tokens."""
    several = (
        given if isinstance(given, list) and not all(isinstance(each, int) for each in given) else [given]
    )
    for each in several:
        if isinstance(each, list) and each:
            yield " ".join(map(str, each))
        elif isinstance(each, str) and each:
            yield each
        else:
            raise BadRequest(
                "invalid_value", "'input' must be text, tokens, or a list of either, and not empty."
            )


def _listing(path: str) -> Reply:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "demo"}
    if path.endswith("/models"):
        return Reply.json({"object": "list", "data": [model]})
    if path.endswith(f"/{MODEL}"):
        return Reply.json(model)
    raise BadRequest("not_found", f"The demo upstream has nothing at {path[:200]!r}.", status=404)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise BadRequest("invalid_json", "The body must be a JSON object.")
    return value


def _refusal(error: GatewayError) -> Reply:
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    problem = {"message": error.message, "type": kind, "param": None, "code": error.code}
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
    return Reply.json({"error": problem}, error.status, headers)


def _code(status: int) -> str:
    return {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}.get(status, "told_to_fail")
