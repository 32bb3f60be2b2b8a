"""The team's judge with one more client: recorded requests of every dialect, asked as Bedrock's callers ask.

    python -m tests.conformance.converse_client [--chunking HOW] [arguments of the judge]

The judge reads Converse, and writes it nowhere: what writes it is here, apart from the gateway's own code.
"""

from __future__ import annotations

import sys
from typing import Any, Final
from urllib.parse import quote

import orjson

from .further_client import FurtherClient, Tree


def converse_request(talk: Any, model: str) -> tuple[str, str, Tree]:
    """Return path, query and body of a conversation as the judge holds it."""
    body: Tree = {"messages": [_turn(turn) for turn in talk.turns]}
    if talk.system:
        body["system"] = [{"text": text} for text in talk.system if text]
    config = {"maxTokens": talk.max_tokens, "temperature": talk.temperature, "topP": talk.top_p}
    config |= {"stopSequences": talk.stop or None}
    body["inferenceConfig"] = {key: value for key, value in config.items() if value is not None}
    if talk.tools and talk.tool_choice != "none":
        body["toolConfig"] = {"tools": [_tool(tool) for tool in talk.tools], **_choice(talk.tool_choice)}
    if isinstance(talk.schema, dict):
        inner = {"name": talk.schema["name"], "schema": orjson.dumps(talk.schema["schema"]).decode()}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}}
    action = "converse-stream" if talk.stream else "converse"
    return f"/model/{quote(model, safe='')}/{action}", "", body


def _turn(turn: Tree) -> Tree:
    return {"role": turn["role"], "content": [_block(part) for part in turn["parts"] if _said(part)]}


def _said(part: Tree) -> bool:
    return not (part["t"] == "image" and part.get("url"))


def _block(part: Tree) -> Tree:
    if part["t"] == "image":
        kind = (part.get("media") or "image/png").removeprefix("image/")
        return {"image": {"format": kind, "source": {"bytes": part.get("data")}}}
    if part["t"] == "call":
        return {"toolUse": {"toolUseId": part["id"], "name": part["name"], "input": part["args"]}}
    if part["t"] == "result":
        return {"toolResult": {"toolUseId": part["id"], "content": [{"text": part["text"]}]}}
    return {"text": part["text"]}


def _tool(tool: Tree) -> Tree:
    spec: Tree = {"name": tool["name"], "inputSchema": {"json": tool["schema"] or {"type": "object"}}}
    if tool["description"]:
        spec["description"] = tool["description"]
    return {"toolSpec": spec}


def _choice(choice: Any) -> Tree:
    if choice is None:
        return {}
    named = {"auto": {"auto": {}}, "required": {"any": {}}}
    return {"toolChoice": named[choice] if isinstance(choice, str) else {"tool": {"name": choice["name"]}}}


def _cannot_say(talk: Any) -> set[str]:
    """Return what of a conversation Converse has no field for."""
    linked = any(part["t"] == "image" and part.get("url") for turn in talk.turns for part in turn["parts"])
    kinds = {"pictures behind links": linked, "schemaless JSON mode": talk.schema == "json"}
    return {name for name, there in (kinds | {"no tool at all": talk.tool_choice == "none"}).items() if there}


def _shape(reply: Tree) -> list[str]:
    if reply["status"] >= 400:
        told = isinstance(reply.get("body"), dict) and isinstance(reply["body"].get("message"), str)
        named = reply["headers"].get("x-amzn-errortype")
        return [] if told and named else ["shape: an error without its name or its message"]
    if "frames" in reply:
        return []
    body = reply.get("body") or {}
    missing = {"output", "stopReason", "usage", "metrics"} - body.keys()
    return [f"shape: the answer lacks {name}" for name in sorted(missing)]


CONVERSE: Final = FurtherClient(
    "tests.conformance.converse_client", "bedrock.converse", converse_request, _cannot_say, _shape
)


if __name__ == "__main__":
    sys.exit(CONVERSE.main())
