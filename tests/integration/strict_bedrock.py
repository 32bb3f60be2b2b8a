"""Amazon Bedrock's Converse for the strict provider: read and worded apart from the gateway's own code."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from struct import pack
from typing import Any
from urllib.parse import unquote
from zlib import crc32

import orjson

from .strict_asking import Asked, Call, Refused, Turn, check_names, check_results
from .strict_saying import CACHED, INPUT, OUTPUT, SOURCE, Said, pieces

PATH = re.compile("/model/([^/]+)/(converse|converse-stream|count-tokens)")
STREAM = "application/vnd.amazon.eventstream"
ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_ID = re.compile("[a-zA-Z0-9_-]{1,64}")
_USAGE = {
    "inputTokens": INPUT - CACHED,
    "outputTokens": OUTPUT,
    "totalTokens": INPUT + OUTPUT,
    "cacheReadInputTokens": CACHED,
    "cacheWriteInputTokens": 0,
}
_MEMBERS = {
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "additionalModelRequestFields",
    "outputConfig",
    "requestMetadata",
    "serviceTier",
}


def read_converse(body: dict[str, Any], path: str) -> Asked:
    """Read a Converse request; refuses what that API refuses."""
    found = PATH.fullmatch(path)
    assert found is not None
    asked = Asked(unquote(found[1]), streamed=found[2] == "converse-stream")
    if unknown := body.keys() - _MEMBERS:
        raise _invalid(f"unknown members {sorted(unknown)}")
    asked.system = "".join(block["text"] for block in body.get("system", []) if "text" in block)
    thinking = body.get("additionalModelRequestFields", {}).get("thinking") or {}
    asked.thinking = thinking.get("type") in {"enabled", "adaptive"}
    if body.get("inferenceConfig", {}).get("temperature", 0) > 1:
        raise _invalid("temperature must be at most 1")
    for message in body["messages"]:
        _read_message(asked, message)
    config = body.get("toolConfig") or {}
    asked.tools = [tool["toolSpec"]["name"] for tool in config.get("tools", []) if "toolSpec" in tool]
    choice = config.get("toolChoice") or {}
    asked.choice = "required" if "any" in choice else choice.get("tool", {}).get("name", "")
    asked.schema = "textFormat" in body.get("outputConfig", {})
    if any(turn.calls or turn.results for turn in asked.turns) and not asked.tools:
        raise _invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        )
    check_names(asked, "[a-zA-Z0-9_-]{1,64}")
    check_results(asked)
    return asked


def _invalid(message: str) -> Refused:
    return Refused(400, "invalid", message)


def _read_message(asked: Asked, message: dict[str, Any]) -> None:
    role, content = message["role"], message["content"]
    if not asked.turns and role != "user":
        raise _invalid("A conversation must start with a user message.")
    if asked.turns and asked.turns[-1].role == role:
        raise _invalid("roles must alternate")
    turn = asked.turn(role)
    for place, block in enumerate(content):
        (kind,) = block
        if kind == "toolUse" and asked.thinking and "reasoningContent" not in content[0]:
            raise _invalid("Expected `thinking`, but found `tool_use`, with thinking enabled")
        if kind == "toolResult" and place and not any("toolResult" in each for each in content[:place]):
            raise _invalid("results must stand first in their turn")
        _read_block(turn, kind, block[kind])


def _read_block(turn: Turn, kind: str, told: Any) -> None:
    if kind == "text":
        if not told.strip():
            raise _invalid("text content blocks must be non-empty")
        turn.text += told
    elif kind == "image":
        assert told["format"] in {"png", "jpeg", "gif", "webp"}
        base64.b64decode(told["source"]["bytes"], validate=True)
        turn.images += 1
    elif kind == "toolUse":
        if not _ID.fullmatch(told["toolUseId"]):
            raise _invalid(f"the id {told['toolUseId']!r} is none")
        turn.calls.append(Call(told["toolUseId"], told["name"], told["input"]))
    elif kind == "toolResult":
        turn.results[told["toolUseId"]] = "".join(part["text"] for part in told["content"])
    elif kind == "reasoningContent":
        inner = told.get("reasoningText")
        turn.signatures.append(inner["signature"] if inner else told["redactedContent"])
    elif kind not in {"cachePoint", "document", "citationsContent"}:
        raise _invalid(f"unknown block {kind}")


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thinking:
        told = {"text": said.thinking, "signature": said.signature}
        blocks.append({"reasoningContent": {"reasoningText": told}})
    if text := said.text or said.refusal:
        place = {"title": SOURCE["title"], "location": {"web": {"url": SOURCE["url"]}}}
        cited = {"citationsContent": {"content": [{"text": text}], "citations": [place]}}
        blocks.append(cited if said.cited else {"text": text})
    calls = [{"toolUseId": call.id, "name": call.name, "input": call.arguments} for call in said.calls]
    return [*blocks, *({"toolUse": call} for call in calls)]


def _stop_reason(said: Said) -> str:
    if said.refusal:
        return "content_filtered"
    return "tool_use" if said.calls else "max_tokens" if said.cut else "end_turn"


def converse(said: Said) -> dict[str, Any]:
    """Word it whole."""
    message = {"role": "assistant", "content": _blocks(said)}
    rest = {"usage": _USAGE, "metrics": {"latencyMs": 7}}
    return {"output": {"message": message}, "stopReason": _stop_reason(said), **rest}


def converse_frames(said: Said) -> Iterator[bytes]:
    """Word it as the frames of a stream."""
    yield frame("messageStart", {"role": "assistant"})
    for index, block in enumerate(_blocks(said)):
        at = {"contentBlockIndex": index, "p": "abcdef"}
        if "toolUse" in block:
            start = {key: value for key, value in block["toolUse"].items() if key != "input"}
            yield frame("contentBlockStart", {"start": {"toolUse": start}, **at})
        for delta in _deltas(block):
            yield frame("contentBlockDelta", {"delta": delta, **at})
        yield frame("contentBlockStop", at)
    yield frame("messageStop", {"stopReason": _stop_reason(said)})
    yield frame("metadata", {"usage": _USAGE, "metrics": {"latencyMs": 7}})


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    ((kind, told),) = block.items()
    if kind == "toolUse":
        for piece in pieces(orjson.dumps(told["input"]).decode()):
            yield {"toolUse": {"input": piece}}
    elif kind == "reasoningContent":
        for piece in pieces(told["reasoningText"]["text"]):
            yield {"reasoningContent": {"text": piece}}
        yield {"reasoningContent": {"signature": told["reasoningText"]["signature"]}}
    else:
        for piece in pieces(told if kind == "text" else told["content"][0]["text"]):
            yield {"text": piece}
        for citation in [] if kind == "text" else told["citations"]:
            yield {"citation": citation}


def frame(name: str, told: Any, *, kind: str = "event") -> bytes:
    """Return one frame: two lengths and their checksum, three headers, the payload, the checksum of it all."""
    named = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + pack(">H", len(value)) + value.encode()
        for key, value in named.items()
    )
    payload = orjson.dumps(told)
    lengths = pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = lengths + pack(">I", crc32(lengths)) + headers + payload
    return body + pack(">I", crc32(body))
