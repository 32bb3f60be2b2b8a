"""The team's judge with one more client: recorded requests of every dialect, asked as Ollama's callers ask.

    python -m tests.conformance.ollama_client [--chunking HOW] [arguments of the judge]

The judge reads Ollama's chats, and writes them nowhere: what writes them is here, apart from the gateway's own code.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from .further_client import FurtherClient, Tree


def chat_request(talk: Any, model: str) -> tuple[str, str, Tree]:
    """Return path, query and body of a conversation as the judge holds it."""
    messages: list[Tree] = [{"role": "system", "content": text} for text in talk.system]
    for turn in talk.turns:
        messages += _messages(turn)
    body: Tree = {"model": model, "messages": messages, "stream": talk.stream}
    if talk.tools and talk.tool_choice != "none":
        body["tools"] = [_tool(tool) for tool in talk.tools]
    options = {"num_predict": talk.max_tokens, "temperature": talk.temperature, "top_p": talk.top_p}
    options |= {"stop": talk.stop or None}
    body["options"] = {key: value for key, value in options.items() if value is not None}
    if talk.schema is not None:
        body["format"] = talk.schema if talk.schema == "json" else talk.schema["schema"]
    return "/api/chat", "", body


def _messages(turn: Tree) -> list[Tree]:
    parts = turn["parts"]
    results = [part for part in parts if part["t"] == "result"]
    told: list[Tree] = [
        {"role": "tool", "content": part["text"], "tool_call_id": part["id"]} for part in results
    ]
    message: Tree = {"role": turn["role"], "content": "\n".join(p["text"] for p in parts if p["t"] == "text")}
    if calls := [part for part in parts if part["t"] == "call"]:
        functions = [{"name": call["name"], "arguments": call["args"]} for call in calls]
        pairs = zip(calls, functions, strict=True)
        message["tool_calls"] = [{"id": call["id"], "function": function} for call, function in pairs]
    if pictures := [part["data"] for part in parts if part["t"] == "image" and not part.get("url")]:
        message["images"] = pictures
    return [*told, message] if len(parts) > len(results) else told


def _tool(tool: Tree) -> Tree:
    schema = tool["schema"] or {"type": "object", "properties": {}}
    function = {"name": tool["name"], "description": tool["description"], "parameters": schema}
    return {"type": "function", "function": function}


def _cannot_say(talk: Any) -> set[str]:
    """Return what of a conversation Ollama has no field for."""
    texts = [sum(part["t"] == "text" for part in turn["parts"]) for turn in talk.turns]
    kinds = {
        "pictures": any(part["t"] == "image" for turn in talk.turns for part in turn["parts"]),
        "several texts in one turn": max(texts, default=0) > 1,
        "a choice of tools": talk.tool_choice is not None,
    }
    return {name for name, there in kinds.items() if there}


def _shape(reply: Tree) -> list[str]:
    body = reply.get("body") or {}
    if reply["status"] >= 400:
        told = isinstance(body, dict) and isinstance(body.get("error"), str)
        return [] if told else ["shape: an error without its text"]
    if "lines" in reply:
        return []
    missing = {"model", "created_at", "message", "done", "done_reason", "total_duration"} - body.keys()
    return [f"shape: the answer lacks {name}" for name in sorted(missing)]


OLLAMA: Final = FurtherClient(
    "tests.conformance.ollama_client", "ollama.chat", chat_request, _cannot_say, _shape
)


if __name__ == "__main__":
    sys.exit(OLLAMA.main())
