"""What a caller asks for."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from llmproxy.canonical.blocks import Block, CacheMark, Piece, Text
from llmproxy.canonical.media import MediaRequest

Role = Literal["user", "assistant", "system"]


class Message(Piece, frozen=True):
    """One turn. Results of tools stand in `user` turns, before the turn's other blocks.

    `system` is for instructions that come after the conversation began; those before it are the request's `system`.
    """

    role: Role
    content: tuple[Block, ...]
    name: str = ""


class Tool(Piece, frozen=True):
    """A function the model may call; `schema` is JSON Schema, or None where there are no parameters."""

    name: str
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache: CacheMark | None = None


class HostedTool(Piece, frozen=True):
    """A tool that the provider runs; only the dialect family `origin` knows it."""

    origin: str
    kind: str
    value: dict[str, Any]


class ToolChoice(Piece, frozen=True):
    """Whether tools are called: at will, never, one at least; `names` narrows them (one name: this tool)."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class Format(Piece, frozen=True):
    """The shape of the answer's text: any JSON, or JSON by a schema."""

    kind: Literal["json", "schema"]
    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Thinking(Piece, frozen=True):
    """How much the model may think before it answers.

    `enabled` False asks for none; None says nothing. `effort` is none, minimal, low, medium, high, xhigh or max;
    `budget` is tokens; `adaptive` leaves it to the model. `show` asks for the text or a summary of it ("auto",
    "concise", "detailed", "omitted").
    """

    enabled: bool | None = None
    effort: str = ""
    budget: int | None = None
    adaptive: bool = False
    show: str = ""


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation to be answered.

    Every field left at its default was not said. Tokens are counts, temperatures as the dialect gives them (0 to 2).
    """

    model: str
    messages: tuple[Message, ...] = ()
    system: tuple[Text, ...] = ()
    tools: tuple[Tool | HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    format: Format | None = None
    thinking: Thinking | None = None
    verbosity: str = ""
    modalities: tuple[str, ...] = ()
    #: How a picture in the answer shall be (16:9, 2K), and whose voice speaks it.
    aspect: str = ""
    resolution: str = ""
    voice: str = ""
    streamed: bool = False
    include_usage: bool = True
    user: str = ""
    metadata: dict[str, Any] | None = None
    service_tier: str = ""
    prompt_cache_key: str = ""


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Texts to be turned into vectors; a text may be given as token ids."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    #: float or base64, as the answer shall be written.
    encoding: str = ""
    user: str = ""
    #: Gemini's task type, such as RETRIEVAL_QUERY.
    task: str = ""
    title: str = ""
    #: Whether the caller asked for one vector alone and gets one back (Gemini's embedContent).
    single: bool = False


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Documents to be put in order by how well they answer a query.

    `top_n` is how many shall be told, `document_tokens` how many tokens of each are read at most; `truncate` False
    asks for an error where something is too long.
    """

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    #: Whether their texts shall stand in the answer.
    return_documents: bool | None = None
    document_tokens: int | None = None
    truncate: bool | None = None
    user: str = ""


class CountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation whose input tokens are to be counted, not answered."""

    request: GenerateRequest

    @property
    def model(self) -> str:
        """The model that would be asked."""
        return self.request.model


ModelRequest = GenerateRequest | EmbedRequest | CountRequest | RerankRequest | MediaRequest
