"""The team's recorded traffic, read for tests of the core's own codecs and counts."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.canonical import (
    Block,
    Format,
    GenerateRequest,
    Image,
    Inline,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

_SHARED = Path(__file__).parents[3] / "shared"
_FOLDER = _SHARED / "data" / "wire"
TOOLS = _SHARED / "tools"

_PRESENT = _FOLDER.is_dir() and TOOLS.is_dir()


def needs_recordings(test: Any) -> Any:
    """Mark a test that reads recordings; it is skipped where there are none."""
    skip = pytest.mark.skipif(not _PRESENT, reason="the team's recordings are not beside the project")
    return pytest.mark.shared(skip(test))


def records(*providers: str) -> Iterator[dict[str, Any]]:
    """Give every recorded exchange, or those of some providers."""
    for path in sorted(_FOLDER.glob("*.jsonl")):
        if not providers or path.stem in providers:
            with path.open("rb") as lines:
                yield from map(orjson.loads, lines)


def counted(folder: Path = _FOLDER) -> Iterator[tuple[str, str, GenerateRequest, int]]:
    """Give provider, model, request and true prompt tokens of each recorded request that can be counted.

    Left out is what nobody outside could count: tools and searches that the provider runs, pictures behind URLs,
    stored conversations. The tool's own reader of the dialects is used, so that no face is part of the measure.
    """
    sys.path.insert(0, str(TOOLS))
    try:
        wiresem = importlib.import_module("wiresem")
    finally:
        sys.path.remove(str(TOOLS))
    seen = set()
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as lines:
            for record in map(orjson.loads, lines):
                found = _counted(wiresem, record)
                if found is not None and (key := (path.stem, *found)) not in seen:
                    seen.add(key)
                    yield path.stem, found[0], _request(found[0], orjson.loads(found[1])), found[2]


_DIALECTS = {
    "openai.chat",
    "openai.responses",
    "anthropic.messages",
    "anthropic.vertex",
    "gemini.generate",
    "gemini.stream",
    "bedrock.converse",
    "bedrock.converse_stream",
    "cohere.chat_v2",
    "ollama.chat",
}
_COUNTABLE = re.compile(
    r"strict tool|tool strict|thought signature|message name|tool result marked|citations|allowed tool|n > 1"
    r"|late system|tool turns|field:"
)
_HIDDEN = re.compile(
    r"field:(previous_response_id|cachedContent|conversation|thinking|context_management|mcp|plugins|web_search"
    r"|documents|prompt|audio|container|search)"
)


def _counted(wiresem: Any, record: dict[str, Any]) -> tuple[str, bytes, int] | None:
    body = (record.get("request") or {}).get("body")
    if (
        record["dialect"] not in _DIALECTS
        or not isinstance(body, dict)
        or record["response"]["status"] != 200
    ):
        return None
    try:
        asked = wiresem.parse_request(record["dialect"], body, record["request"].get("path") or "")
        tokens = wiresem.parse_response(record["dialect"], record["response"]).usage.get("input")
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    parts = [part for turn in asked.turns for part in turn["parts"]]
    hidden = any(not _COUNTABLE.match(thing) or _HIDDEN.match(thing) for thing in asked.beyond)
    if not tokens or hidden or any(part["t"] == "image" and part.get("url") for part in parts):
        return None
    signatures = [
        part.get("thoughtSignature") or part.get("thought_signature") or ""
        for content in body.get("contents") or ()
        if isinstance(content, dict)
        for part in content.get("parts") or ()
        if "functionCall" in part or "function_call" in part
    ]
    for part, signature in zip((part for part in parts if part["t"] == "call"), signatures, strict=False):
        part["signature"] = signature
    schema = asked.schema["schema"] if isinstance(asked.schema, dict) else None
    made = {"system": asked.system, "turns": asked.turns, "tools": asked.tools, "schema": schema}
    return record["model"] or "", orjson.dumps(made), tokens


def _request(model: str, made: dict[str, Any]) -> GenerateRequest:
    return GenerateRequest(
        model=model,
        system=tuple(Text(text) for text in made["system"]),
        messages=tuple(Message(turn["role"], tuple(map(_block, turn["parts"]))) for turn in made["turns"]),
        tools=tuple(
            Tool(tool["name"], tool["description"] or "", tool["schema"] or None) for tool in made["tools"]
        ),
        format=Format("schema", made["schema"]) if made["schema"] else None,
    )


def _block(part: dict[str, Any]) -> Block:
    if part["t"] == "text":
        return Text(part["text"])
    if part["t"] == "call":
        arguments = orjson.dumps(part["args"]).decode()
        return ToolCall(part["id"] or "", part["name"] or "", arguments, part.get("signature", ""))
    if part["t"] == "image":
        return Image(Inline(part["media"] or "", part["data"]))
    return ToolResult(part["id"] or "", (Text(part["text"] or ""),), part["name"] or "")
