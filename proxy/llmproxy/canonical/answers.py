"""What a provider answered."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from llmproxy.canonical.blocks import Block
from llmproxy.canonical.media import MediaAnswer
from llmproxy.exchange import Usage

#: Why an answer ended. `context` is a full window, `pause` an unfinished turn that the caller continues (Anthropic's
#: pause_turn), `malformed` a tool call that could not be read, `error` any failure that the provider calls an end.
FinishReason = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "pause", "context", "malformed", "error"
]

FINISH_REASONS: Final[tuple[str, ...]] = get_args(FinishReason)


class Choice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer of possibly several.

    `finish` is None only for an answer that the provider did not end. `detail` is the provider's own word for it,
    `explanation` its own sentence.
    """

    content: tuple[Block, ...] = ()
    finish: FinishReason | None = None
    stop_sequence: str | None = None
    detail: str = ""
    explanation: str = ""
    #: OpenAI's shape of token log probabilities: {"content": [...], "refusal": [...]}.
    logprobs: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole answer. `created` is seconds since 1970, 0 where the provider does not say."""

    id: str = ""
    model: str = ""
    created: int = 0
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str = ""
    fingerprint: str = ""


class EmbedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One vector for each input, in order."""

    model: str = ""
    vectors: tuple[tuple[float, ...], ...] = ()
    usage: Usage | None = None


class Ranked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document of those that were ranked: its place among them, how well it fits, its text if it was told."""

    index: int
    score: float
    document: str | None = None


class RerankAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Documents, the best first. `usage` counts tokens, or in `units` the searches that are billed instead."""

    id: str = ""
    model: str = ""
    results: tuple[Ranked, ...] = ()
    usage: Usage | None = None


class CountAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many input tokens a request has; `estimated` where nobody but the gateway counted."""

    tokens: int
    cached: int | None = None
    estimated: bool = False


ModelAnswer = Answer | EmbedAnswer | CountAnswer | RerankAnswer | MediaAnswer
