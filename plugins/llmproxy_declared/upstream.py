"""How a declared endpoint is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.canonical import (
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    ModelAnswer,
    RerankAnswer,
    RerankRequest,
)
from llmproxy.plugin import (
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    Reply,
    StateKey,
    Tap,
    ToolNames,
    Untranslated,
    UpstreamRequest,
    Usage,
    WholeTap,
    no_translation,
)
from llmproxy_declared.answers import read_answer
from llmproxy_declared.aspects import Aspects
from llmproxy_declared.config import KEY
from llmproxy_declared.conversation import Conversation
from llmproxy_declared.decoder import Decoder
from llmproxy_declared.embedding import Embedding
from llmproxy_declared.errors import ErrorReader
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.prompting import Prompt
from llmproxy_declared.ranking import Ranking
from llmproxy_declared.shapes import Shapes
from llmproxy_declared.sources import references_in
from llmproxy_declared.streaming import Streamed
from llmproxy_declared.taps import StreamTap, WholeUsage

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelRequest
    from llmproxy_declared.config import DeclaredConfig

_LINES: Final = frozenset(
    b"application/x-ndjson application/ndjson application/jsonl application/x-jsonlines application/stream+json"
    b" application/json-lines".split()
)
_JSON: Final = b"application/json"


class _Call(NamedTuple):
    """How the answer to a call is read that asks for no conversation's."""

    read: Callable[[Any, Headers], ModelAnswer]
    usage: Callable[[Any, Headers], Usage | None]


class DeclaredUpstream(Untranslated):
    """The upstream face of one declared dialect, all of its templates read once."""

    tool_names: ToolNames | None = None

    def __init__(self, name: str, config: DeclaredConfig) -> None:
        self.wire = f"declared:{name}"
        # A key of its own: attempts at two such upstreams may be under way at once.
        self._call = StateKey[_Call]("declared.call")
        #: What the configuration put into templates from the environment or a file, for whoever shows requests.
        self.references: Mapping[str, str] = dict(references_in(_templates_of(config)))
        self._credentials: Mapping[str, str] = config.credentials
        self._errors = ErrorReader(config.errors, self.references.keys())
        self._embedding = None if config.embed is None else Embedding(config.embed)
        self._ranking = None if config.rerank is None else Ranking(config.rerank)
        self._aspects: Aspects | None = None
        self._streamed: Streamed | None = None
        if config.answer is not None:
            self._read_generation(config)

    def _read_generation(self, config: DeclaredConfig) -> None:
        assert config.answer is not None
        self._aspects = Aspects(config.answer)
        if config.stream is not None:
            self._streamed = Streamed(config.stream, config.answer)
        shapes, prompt = Shapes(config.shapes), Prompt(config.prompt)
        self._templates = [config.request(), config.request(streamed=True)]
        self._conversations = [
            Conversation(template.sources, shapes, prompt, config.words, template.stops)
            for template in self._templates
        ]

    def native(self, exchange: Exchange) -> bool:
        """Say that nobody speaks it but this upstream."""
        return False

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Refuse: what callers send is never what it takes."""
        raise no_translation()

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header fields that the configuration names."""
        return [
            (name.encode(), text.replace(KEY, api_key).encode()) for name, text in self._credentials.items()
        ]

    def fetches(self, link: Link, kind: str) -> bool:
        """Have pictures fetched where the templates take their bytes alone."""
        return self._aspects is not None and self._conversations[0].fetches(kind)

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Fill the templates; None where the configuration declares no such call.

        Raises:
            BadRequest: a value cannot stand where it should.
        """
        model = endpoint.model or request.model
        names = {"model": model, "model_path": model} if model else {}
        if isinstance(request, GenerateRequest) and self._aspects is not None:
            streamed = request.streamed and self._streamed is not None
            values = self._conversations[streamed].values(request, losses, streamed=streamed)
            return self._templates[streamed].fill(exchange.request, {**values, **names})
        call: Embedding | Ranking
        if isinstance(request, EmbedRequest) and self._embedding is not None:
            call, values = self._embedding, self._embedding.values(request, losses)
            read: Any = partial(_read_vectors, call, len(request.inputs))
        elif isinstance(request, RerankRequest) and self._ranking is not None:
            call, values = self._ranking, self._ranking.values(request, losses)
            read = partial(_read_ranking, call, request)
        else:
            return None
        exchange.state[self._call] = _Call(read, call.usage_of)
        return call.template.fill(exchange.request, {**values, **names})

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read every good answer."""
        if reply.status >= 300:
            return None
        decoder = self.stream_decoder(exchange, reply)
        return WholeTap(WholeUsage(self._usage(exchange, reply))) if decoder is None else StreamTap(decoder)

    def _usage(self, exchange: Exchange, reply: Reply) -> Any:
        call = exchange.state.get(self._call)

        def read(document: Any) -> Usage | None:
            if call is not None:
                return call.usage(document, reply.headers)
            return None if self._aspects is None else self._aspects.usage.of(document, reply.headers)

        return read

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole answer.

        Raises:
            GatewayError: it says that it failed, or is not of the declared form.
        """
        document = _document(body)
        if self._errors.told(document):
            raise self._errors.read(document, headers=reply.headers)
        if (call := exchange.state.get(self._call)) is not None:
            return call.read(document, reply.headers)
        if self._aspects is None:
            raise BadAnswer("The upstream answered what it was not asked.")
        return read_answer(document, self._aspects, reply.headers, exchange.serial)

    def decode_error(self, exchange: Exchange, reply: Reply, body: bytes) -> GatewayError:
        """Read an error by its declared places."""
        return self._errors.of_body(body, reply.status, reply.headers)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> Decoder | None:
        """Return what reads a stream, framed as the answer's type says or else as it is declared."""
        streamed = self._streamed
        if streamed is None or exchange.state.get(self._call) is not None:
            return None
        kind = reply.headers.index.get(b"content-type", b"").partition(b";")[0].strip().lower()
        lines = streamed.framing == "ndjson"
        if reply.is_event_stream or kind in _LINES:
            lines = not reply.is_event_stream
        elif not exchange.streamed or (kind == _JSON and not lines):
            return None
        return Decoder(streamed, self._errors, reply.headers, lines=lines, seed=exchange.serial)


def _read_vectors(embedding: Embedding, expected: int, document: Any, headers: Headers) -> EmbedAnswer:
    return embedding.read(document, expected, headers)


def _read_ranking(ranking: Ranking, request: RerankRequest, document: Any, headers: Headers) -> RerankAnswer:
    return ranking.read(document, request, headers)


def _templates_of(config: DeclaredConfig) -> list[Any]:
    sections = [each for each in (config, config.stream, config.embed, config.rerank) if each is not None]
    found: list[Any] = [each.headers for each in (config, config.embed, config.rerank) if each is not None]
    return [*found, *([each.path, each.query, each.body] for each in sections)]


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The upstream's answer is no JSON.") from None
