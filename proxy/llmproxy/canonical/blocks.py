"""Blocks: the ordered pieces of a message."""

from __future__ import annotations

from typing import Any

import msgspec


class Piece(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True, gc=False):
    """What every piece is: a frozen value that knows its kind when it is kept as JSON."""


class CacheMark(Piece, frozen=True):
    """A prompt-cache marker: the provider may keep what stands up to here, `ttl` such as "5m" or "1h"."""

    ttl: str = ""


class Inline(Piece, frozen=True):
    """Bytes in the request itself, base64 in `data`."""

    media_type: str
    data: str


class Link(Piece, frozen=True):
    """Bytes behind a web URL."""

    url: str
    media_type: str = ""


class FileRef(Piece, frozen=True):
    """A file that was uploaded to one provider, which alone knows `id`; `dialect` names whose it is."""

    id: str
    dialect: str
    media_type: str = ""


Source = Inline | Link | FileRef


class Citation(Piece, frozen=True):
    """Where a piece of text comes from.

    `kind` is url, char, page, block, file or search. `start` and `end` count in the cited document (characters, pages
    or blocks as `kind` says); `text_start` and `text_end` are the characters of the answer's text that it supports.
    """

    kind: str
    url: str = ""
    title: str = ""
    quote: str = ""
    document: int | None = None
    file_id: str = ""
    start: int | None = None
    end: int | None = None
    text_start: int | None = None
    text_end: int | None = None
    #: What the provider needs back and nobody else reads (Anthropic's encrypted_index).
    opaque: str = ""


class Text(Piece, frozen=True):
    """Plain text. `signature` is what Gemini hangs on a text part."""

    text: str
    cache: CacheMark | None = None
    citations: tuple[Citation, ...] = ()
    signature: str = ""


class Image(Piece, frozen=True):
    """A picture; `detail` is low, high, auto or original as OpenAI says it."""

    source: Source
    detail: str = ""
    cache: CacheMark | None = None


class Audio(Piece, frozen=True):
    """A recording."""

    source: Source
    cache: CacheMark | None = None


class Video(Piece, frozen=True):
    """A film."""

    source: Source
    cache: CacheMark | None = None


class Document(Piece, frozen=True):
    """A PDF, a text or another file to read; `text` is set instead of `source` where it is given as plain text."""

    source: Source | None = None
    text: str | None = None
    title: str = ""
    context: str = ""
    #: Whether the answer shall cite it.
    cite: bool = False
    cache: CacheMark | None = None


class ToolCall(Piece, frozen=True):
    """The model asks for a tool. `arguments` is JSON text of an object; "" is never left: none is "{}".

    `signature` is Gemini's thoughtSignature, without which the next turn is refused.
    """

    id: str
    name: str
    arguments: str = "{}"
    signature: str = ""
    cache: CacheMark | None = None


class ToolResult(Piece, frozen=True):
    """What a tool gave. `name` is that of the call where it is known: some dialects answer by name."""

    id: str
    content: tuple[Block, ...] = ()
    name: str = ""
    is_error: bool = False
    cache: CacheMark | None = None


class Reasoning(Piece, frozen=True):
    """What the model thought.

    `signature` proves it to the provider of dialect `origin` (a family: anthropic, gemini, openai) and means nothing to
    others; `redacted` is thought that only that provider can read (Anthropic's redacted_thinking, OpenAI's
    encrypted_content). `summary` says that `text` is a summary (OpenAI Responses). `id` is the provider's item id.
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    origin: str = ""
    summary: bool = False
    id: str = ""


class Refusal(Piece, frozen=True):
    """The model declines, in words."""

    text: str


class Foreign(Piece, frozen=True):
    """A piece that only one dialect family has (a provider-run tool's call or result): carried as it is, or lost."""

    origin: str
    value: dict[str, Any]


Block = Text | Image | Audio | Video | Document | ToolCall | ToolResult | Reasoning | Refusal | Foreign
