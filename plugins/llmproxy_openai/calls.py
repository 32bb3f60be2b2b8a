"""Which call a path is, and how callers of chat completions name what canonical fields hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from llmproxy.plugin import ClientRequest, media_type

Call = Literal["chat", "embeddings", "rerank", "responses", ""]
#: Calls whose answers have one form only, by the end of their path.
MediaCall = Literal["images", "edits", "speech", "transcriptions", "translations", "moderations", ""]
_MEDIA: Final[Mapping[str, MediaCall]] = {
    "/images/generations": "images",
    "/images/edits": "edits",
    "/audio/speech": "speech",
    "/audio/transcriptions": "transcriptions",
    "/audio/translations": "translations",
    "/moderations": "moderations",
}
#: The call for edited pictures, and how its body names one as OpenAI does, in JSON.
EDITS: Final = "/images/edits"
_NAMES_AS_OPENAI: Final = re.compile(rb'"image_url"\s*:')
_MEDIA_ENDS: Final = tuple(_MEDIA)

#: Where a ranking is asked for, and what its bound is called, which tells the rest of its form too.
RERANK: Final = "/rerank"
RankingManner = Literal["top_n", "top_k"]
#: What only callers of Voyage's say.
_VOYAGES: Final = re.compile(rb'"(?:top_k|truncation)"\s*:')

_PARTS: Final = "messages[].content[]"
_FUNCTION: Final = "tools[].function"
_SCHEMA: Final = "response_format.json_schema"

#: Canonical names that callers know by another.
LOSS_NAMES: Final[Mapping[str, str]] = {
    "system": "messages",
    "system.cache": f"{_PARTS}.cache_control",
    "messages.name": "messages[].name",
    "messages.system": "messages[].role",
    "content.cache": f"{_PARTS}.cache_control",
    "content.image": f"{_PARTS}.image_url",
    "content.audio": f"{_PARTS}.input_audio",
    "content.video": f"{_PARTS}.video_url",
    "content.document": f"{_PARTS}.file",
    "content.citations": "messages[].annotations",
    "content.refusal": "messages[].refusal",
    "content.foreign": "messages[].tool_calls[].custom",
    "image.detail": f"{_PARTS}.image_url.detail",
    "document.title": f"{_PARTS}.file.filename",
    "document.context": f"{_PARTS}.file",
    "document.cite": f"{_PARTS}.file",
    "reasoning": "messages[].reasoning_content",
    "reasoning.signature": "messages[].reasoning_details[].signature",
    "tool_call.signature": "messages[].tool_calls[].extra_content",
    "tool_result.is_error": "messages[].content",
    "tool_result.content": _PARTS,
    "tools.strict": f"{_FUNCTION}.strict",
    "tools.cache": "tools[].cache_control",
    "tools.hosted": "tools[]",
    "tool_choice.names": "tool_choice.allowed_tools",
    "format": "response_format",
    "format.schema": f"{_SCHEMA}.schema",
    "format.name": f"{_SCHEMA}.name",
    "format.description": f"{_SCHEMA}.description",
    "format.strict": f"{_SCHEMA}.strict",
    "thinking": "reasoning_effort",
    "thinking.effort": "reasoning_effort",
    "thinking.budget": "thinking.budget_tokens",
    "thinking.show": "reasoning.exclude",
    "include_usage": "stream_options.include_usage",
    "document_tokens": "max_tokens_per_doc",
    "truncate": "truncation",
}


def is_responses(path: str) -> bool:
    """Say whether a path is one of the Responses API's."""
    return path.endswith("/responses") or "/responses/" in path


def call_of(path: str) -> Call:
    """Return which of the calls that can be translated a path is."""
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/embeddings"):
        return "embeddings"
    if path.endswith(RERANK):
        return "rerank"
    return "responses" if is_responses(path) else ""


def media_call_of(path: str) -> MediaCall:
    """Return which call for pictures, sound or judgements a path is."""
    if not path.endswith(_MEDIA_ENDS):
        return ""
    return next(call for end, call in _MEDIA.items() if path.endswith(end))


def manner_of(body: bytes) -> RankingManner:
    """Return the manner of a request for a ranking: Voyage's own client always says both of its words."""
    return "top_n" if _VOYAGES.search(body) is None else "top_k"


def edits_as_xai(request: ClientRequest, body: bytes) -> bool:
    """Say whether pictures to be edited are named as xAI does: no form, and by `url`."""
    return media_type(request) != b"multipart/form-data" and _NAMES_AS_OPENAI.search(body) is None
