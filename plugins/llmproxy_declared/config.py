"""A declared dialect: what its requests look like, and where its answers hold what."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmproxy.plugin import ConfigError
from llmproxy_declared.aspects import AnswerConfig
from llmproxy_declared.embedding import EmbedConfig
from llmproxy_declared.errors import ErrorsConfig
from llmproxy_declared.prompting import PromptConfig
from llmproxy_declared.ranking import RerankConfig
from llmproxy_declared.requests import CallConfig, RequestTemplate
from llmproxy_declared.shapes import ShapesConfig
from llmproxy_declared.sources import GENERATE
from llmproxy_declared.streaming import StreamConfig
from llmproxy_declared.suggesting import near

#: Values whose words an endpoint may have its own for.
WORDS: Final = ("role", "format", "tool_choice", "effort", "verbosity", "service_tier")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: What stands for the upstream's key.
KEY: Final = "{api_key}"


class DeclaredConfig(CallConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One dialect, named as this plugin instance is: `path` and `body` ask for an answer, `answer` reads it.

    `credentials` are the header fields of the upstream's key. `embed` and `rerank` are the calls for embeddings and for
    rankings, if there are such.
    """

    path: str = ""
    answer: AnswerConfig | None = None
    stream: StreamConfig | None = None
    errors: ErrorsConfig = ErrorsConfig()
    embed: EmbedConfig | None = None
    rerank: RerankConfig | None = None
    prompt: PromptConfig | None = None
    shapes: ShapesConfig = ShapesConfig()
    words: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    credentials: dict[str, str] = msgspec.field(default_factory=lambda: {"Authorization": f"Bearer {KEY}"})

    def __post_init__(self) -> None:
        if self.answer is None and self.embed is None and self.rerank is None:
            raise ConfigError(
                "answer", "missing; write the path of the answer's text, as in `answer: /output`"
            )
        if self.answer is None and (self.path or self.body is not None or self.stream is not None):
            raise ConfigError(
                "answer", "missing, so that nothing could be read of what path and body ask for"
            )
        self._check_words()
        self._check_credentials()
        if self.answer is not None:
            self._check_requests()
            self._check_end()

    def _check_words(self) -> None:
        for name in self.words:
            if name not in WORDS:
                message = f"{name!r} is no value that has words (known: {', '.join(WORDS)})"
                raise ConfigError(f"words.{name}", message, near(name, WORDS))

    def _check_credentials(self) -> None:
        for name, text in self.credentials.items():
            if not _TOKEN.fullmatch(name):
                raise ConfigError(f"credentials.{name}", f"{name!r} is not a header name")
            if KEY not in text:
                raise ConfigError(
                    f"credentials.{name}", f"holds no {KEY}; other header fields belong to `headers`"
                )

    def _check_requests(self) -> None:
        if not self.path:
            raise ConfigError(
                "path", "missing; write what stands behind the upstream's base_url, as in /generate"
            )
        sources = self.request().sources
        if not sources & {"prompt", "messages", "last_user"}:
            message = "holds neither {prompt} nor {messages} nor {last_user}: nothing that the caller says would be sent"
            raise ConfigError("body", message)
        if self.stream is not None:
            _ = self.request(streamed=True)

    def _check_end(self) -> None:
        stream, answer = self.stream, self.answer
        if stream is None or answer is None or stream.end is not None:
            return
        if stream.finish is None and answer.finish is None:
            message = "missing; write what ends the stream: [DONE], a path such as /done, or close where nothing does"
            raise ConfigError("stream.end", message)

    def request(self, *, streamed: bool = False) -> RequestTemplate:
        """Return the template of a request for an answer, or for a stream of it."""
        stream = self.stream if streamed else None
        own = stream is not None and (stream.path or stream.query is not None or stream.body is not None)
        path, query, body = self.path, self.query, self.body
        if stream is not None:
            path, query = stream.path or path, query if stream.query is None else stream.query
            body = body if stream.body is None else stream.body
        return RequestTemplate(
            method=self.method,
            path=path,
            query=query,
            headers=self.headers,
            body=body,
            known=GENERATE,
            key="stream." if own else "",
        )
