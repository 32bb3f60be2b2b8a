"""Writes content blocks for a provider."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Document,
    Foreign,
    Image,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.canonical.calls import arguments_object, fitting_id
from llmproxy_bedrock.citations import write_citation
from llmproxy_bedrock.media import DOCUMENTS, IMAGES, SOUNDS, VIDEOS, format_of, is_text
from llmproxy_bedrock.sources import write_source
from llmproxy_bedrock.thoughts import FAMILY, OWN, sealed_data

if TYPE_CHECKING:
    from llmproxy.canonical import Losses
    from llmproxy_bedrock.models import Habits

Written = dict[str, Any]

_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")
_SPACES: Final = re.compile(r" {2,}")
_LONGEST_NAME: Final = 200
_ELSEWHERE: Final = "Amazon takes bytes and its own buckets only, in the formats that it knows"


class Writer:
    """Writes the blocks of one request; documents have names, of which no two may be the same."""

    def __init__(self, habits: Habits, losses: Losses) -> None:
        self.habits = habits
        self.losses = losses
        self._names: set[str] = set()

    def block(self, block: Block, role: str) -> list[Written]:
        """Write one block of a turn, with the cache point behind it."""
        written = self._plain(block, role)
        if written is None:
            return []
        mark: CacheMark | None = getattr(block, "cache", None)
        return [written] if mark is None else [written, *self.mark(mark, "content.cache")]

    def mark(self, mark: CacheMark, named: str) -> list[Written]:
        """Write a cache point, if the model has such."""
        habits = self.habits
        if not habits.caches or (named == "tools.cache" and not habits.caches_tools):
            self.losses.lose(named, "the model caches no prompts up to a mark")
            return []
        if mark.ttl and not habits.ttl:
            if mark.ttl != "5m":
                self.losses.lose(named, "the model's caches live five minutes")
            return [{"cachePoint": {"type": "default"}}]
        return [{"cachePoint": {"type": "default", "ttl": mark.ttl} if mark.ttl else {"type": "default"}}]

    def _plain(self, block: Block, role: str) -> Written | None:
        match block:
            case Text():
                written = self._text(block, role)
            case ToolCall():
                written = self._call(block)
            case ToolResult():
                written = self._result(block)
            case Reasoning():
                written = self._thought(block)
            case Refusal():
                written = {"text": block.text} if block.text.strip() else None
            case Foreign():
                written = self._foreign(block)
            case _:
                written = self._file(block, role)
        return written

    def _foreign(self, block: Foreign) -> Written | None:
        if block.origin == OWN:
            return block.value
        self.losses.lose("content.foreign")
        return None

    def _text(self, block: Text, role: str) -> Written | None:
        if block.signature:
            self.losses.lose("reasoning.signature", "it means nothing to Amazon")
        if not block.text or not (role == "assistant" or block.text.strip()):
            return None
        if block.citations:
            told = [each for each in map(write_citation, block.citations) if each is not None]
            if role == "assistant" and len(told) == len(block.citations) and _are_documents(block):
                return {"citationsContent": {"content": [{"text": block.text}], "citations": told}}
            self.losses.lose("content.citations", "Amazon takes back only citations that it gave")
        return {"text": block.text}

    def _call(self, block: ToolCall) -> Written:
        if block.signature:
            self.losses.lose("tool_call.signature", "it means nothing to Amazon")
        return {
            "toolUse": {
                "toolUseId": tool_id(block.id),
                "name": block.name,
                "input": arguments_object(block.arguments, self.losses),
            }
        }

    def _result(self, block: ToolResult) -> Written:
        told: Written = {
            "toolUseId": tool_id(block.id),
            "content": [written for inner in block.content if (written := self._inner(inner)) is not None],
        }
        if block.is_error:
            told["status"] = "error"
        return {"toolResult": told}

    def _inner(self, block: Block) -> Written | None:
        if isinstance(block, Text | Refusal):
            return {"text": block.text} if block.text else None
        if isinstance(block, Image | Document | Video):
            return self._file(block, "user")
        self.losses.lose(
            "tool_result.content", "a tool's result holds text, pictures, films and documents only"
        )
        return None

    def _thought(self, block: Reasoning) -> Written | None:
        if block.redacted and not block.text and block.origin in (FAMILY, OWN):
            return {"reasoningContent": {"redactedContent": sealed_data(block)}}
        if block.signature and block.origin == FAMILY:
            told = {"text": block.text, "signature": block.signature}
            return {"reasoningContent": {"reasoningText": told}}
        if block.signature or block.redacted:
            self.losses.lose("reasoning.signature", "only thought that the model signed can be sent to it")
        if block.text:
            self.losses.lose("reasoning", "thought that the model did not sign is not sent to it")
        return None

    def _file(self, block: Image | Audio | Video | Document, role: str) -> Written | None:
        if isinstance(block, Document):
            return self._document(block)
        kind, table = _FILES[type(block)]
        if isinstance(block, Image) and block.detail not in ("", "auto"):
            self.losses.lose("image.detail")
        source = write_source(block.source)
        format = format_of(getattr(block.source, "media_type", ""), table)
        if format is None and source is not None and "s3Location" in source:
            format = _ending(source["s3Location"]["uri"], table)
        if source is None or format is None or (role == "assistant" and kind != "image"):
            self.losses.lose(f"content.{kind}", _ELSEWHERE)
            return None
        return {kind: {"format": format, "source": source}}

    def _document(self, block: Document) -> Written | None:
        found = _document_source(block)
        if found is None:
            self.losses.lose("content.document", _ELSEWHERE)
            return None
        format, source = found
        told: Written = {"format": format, "name": self._name(block.title), "source": source}
        if block.context:
            told["context"] = block.context
        if block.cite:
            told["citations"] = {"enabled": True}
        return {"document": told}

    def _name(self, title: str) -> str:
        plain = _SPACES.sub(" ", _NOT_A_NAME.sub(" ", title)).strip()[:_LONGEST_NAME].strip() or "document"
        if title and plain != title:
            self.losses.lose("document.title", "signs that Amazon takes in no name became spaces")
        name, number = plain, 1
        while name in self._names:
            number += 1
            name = f"{plain[: _LONGEST_NAME - 8]} {number}"
        self._names.add(name)
        return name


_FILES: Final[dict[type, tuple[str, dict[str, str]]]] = {
    Image: ("image", IMAGES),
    Audio: ("audio", SOUNDS),
    Video: ("video", VIDEOS),
}


def _are_documents(block: Text) -> bool:
    return all(citation.document is not None for citation in block.citations)


def _ending(uri: str, table: dict[str, str]) -> str | None:
    ending = uri.rpartition(".")[2].lower()
    return (
        {"jpg": "jpeg", "3gp": "three_gp"}.get(ending, ending) if ending in {*table, "jpg", "3gp"} else None
    )


def _document_source(block: Document) -> tuple[str, Written] | None:
    if block.source is None:
        text = block.text or ""
        if block.cite:
            return "txt", {"text": text}
        return ("txt", {"bytes": base64.b64encode(text.encode()).decode()}) if text else None
    source, media_type = write_source(block.source), getattr(block.source, "media_type", "")
    format = format_of(media_type, DOCUMENTS)
    if format is None and source is not None and "s3Location" in source:
        format = _ending(source["s3Location"]["uri"], DOCUMENTS)
    if format is None and is_text(media_type):
        format = "txt"
    return None if source is None or format is None else (format, source)


def tool_id(name: str) -> str:
    """Return an id that Amazon takes: the caller's, or one made from it, the same each time."""
    return fitting_id(name, _ID, "tooluse_")
