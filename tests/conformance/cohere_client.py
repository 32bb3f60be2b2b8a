"""The team's judge with one more client: recorded requests of every dialect, asked as Cohere's callers ask.

    python -m tests.conformance.cohere_client [--chunking HOW] [arguments of the judge]

The judge reads Cohere's chat, and writes it nowhere: what writes it is here, apart from the gateway's own code.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import orjson

from .further_client import FurtherClient, Tree


def cohere_request(talk: Any, model: str) -> tuple[str, str, Tree]:
    """Return path, query and body of a conversation as the judge holds it."""
    messages: list[Tree] = [{"role": "system", "content": text} for text in talk.system if text]
    for turn in talk.turns:
        messages += _answers(turn) if turn["role"] == "assistant" else _questions(turn)
    body: Tree = {"model": model, "messages": messages, "stream": talk.stream}
    told = {"max_tokens": talk.max_tokens, "temperature": talk.temperature, "p": talk.top_p}
    told |= {"stop_sequences": talk.stop or None, "tools": [_tool(tool) for tool in talk.tools] or None}
    told |= {"tool_choice": {"required": "REQUIRED", "none": "NONE"}.get(str(talk.tool_choice))}
    if talk.schema is not None:
        schema = {} if talk.schema == "json" else {"json_schema": talk.schema["schema"]}
        told["response_format"] = {"type": "json_object", **schema}
    return "/v2/chat", "", body | {key: value for key, value in told.items() if value is not None}


def _answers(turn: Tree) -> list[Tree]:
    message: Tree = {"role": "assistant"}
    if text := "".join(part["text"] for part in turn["parts"] if part["t"] == "text"):
        message["content"] = text
    calls = [part for part in turn["parts"] if part["t"] == "call"]
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return [message]


def _call(part: Tree) -> Tree:
    function = {"name": part["name"], "arguments": orjson.dumps(part["args"]).decode()}
    return {"id": part["id"], "type": "function", "function": function}


def _questions(turn: Tree) -> list[Tree]:
    results = [
        {"role": "tool", "tool_call_id": part["id"], "content": part["text"]}
        for part in turn["parts"]
        if part["t"] == "result"
    ]
    said = [_part(part) for part in turn["parts"] if part["t"] in ("text", "image")]
    return [*results, {"role": "user", "content": said}] if said else results


def _part(part: Tree) -> Tree:
    if part["t"] == "text":
        return {"type": "text", "text": part["text"]}
    url = part.get("url") or f"data:{part.get('media') or 'image/png'};base64,{part.get('data')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Tree) -> Tree:
    told = {"name": tool["name"], "description": tool["description"], "parameters": tool["schema"] or {}}
    return {"type": "function", "function": told}


def _cannot_say(talk: Any) -> set[str]:
    """Return what of a conversation Cohere's chat has no field for."""
    return {"a tool by its name"} if isinstance(talk.tool_choice, dict) else set()


def _shape(reply: Tree) -> list[str]:
    body = reply.get("body") or {}
    if reply["status"] >= 400:
        told = isinstance(body, dict) and isinstance(body.get("message"), str)
        return [] if told else ["shape: an error without its message"]
    if "events" in reply:
        return []
    missing = {"id", "message", "finish_reason", "usage"} - body.keys()
    return [f"shape: the answer lacks {name}" for name in sorted(missing)]


COHERE: Final = FurtherClient(
    "tests.conformance.cohere_client", "cohere.chat_v2", cohere_request, _cannot_say, _shape
)


if __name__ == "__main__":
    sys.exit(COHERE.main())
