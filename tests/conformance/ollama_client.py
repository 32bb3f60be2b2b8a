"""The team's judge with one more client: recorded requests of every dialect, asked as Ollama's callers ask.

    python -m tests.conformance.ollama_client [--chunking HOW] [arguments of the judge]

The judge reads Ollama's chats, and writes them nowhere: what writes them is here, apart from the gateway's own code.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.integration.replaying import RECORDINGS, SHARED

from .recorded import DIALECTS, gateway

NAME = "ollama.chat"
Tree = dict[str, Any]


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


def _taught() -> Any:
    """Return the judge, which knows one more client from here on."""
    sys.path.insert(0, str(SHARED / "tools"))
    import translate_check
    import wiresem

    render, cannot, shape = wiresem.render_request, wiresem.cannot_say, wiresem.shape_problems
    wiresem.CLIENT_DIALECTS = (*wiresem.CLIENT_DIALECTS, NAME)
    wiresem.FINISH_SAYABLE[NAME] = {
        "refusal": {"filter", "stop"},
        "pause": {"stop", "other"},
        "other": {"stop", "other", "filter", "tool"},
    }
    wiresem.render_request = lambda dialect, talk, model: (
        chat_request(talk, model) if dialect == NAME else render(dialect, talk, model)
    )
    wiresem.cannot_say = lambda dialect, talk: _cannot_say(talk) if dialect == NAME else cannot(dialect, talk)
    wiresem.shape_problems = lambda dialect, reply: (
        _shape(reply) if dialect == NAME else shape(dialect, reply)
    )
    return translate_check


def _shape(reply: Tree) -> list[str]:
    body = reply.get("body") or {}
    if reply["status"] >= 400:
        told = isinstance(body, dict) and isinstance(body.get("error"), str)
        return [] if told else ["shape: an error without its text"]
    if "lines" in reply:
        return []
    missing = {"model", "created_at", "message", "done", "done_reason", "total_duration"} - body.keys()
    return [f"shape: the answer lacks {name}" for name in sorted(missing)]


def judge(address: str, replay: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the judge, in a process of its own; its last line counts what passed, failed and was skipped."""
    command = [sys.executable, "-m", __spec__.name, str(RECORDINGS), "--gateway", address, "--replay", replay]
    command += ["--strict-route", "--client", NAME, "--model", "{provider}.{dialect}/{model}--{id}"]
    for dialect in DIALECTS:
        command += ["--dialect", dialect]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=600)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge Ollama's callers before every recorded provider; with `--gateway`, be that judge."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if "--gateway" in given:
        return int(_taught().main(given))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunking", default="event", choices=("event", "whole", "merge", "split"))
    known, more = parser.parse_known_args(given)
    with gateway(known.chunking) as (address, replay):
        verdict = judge(address, replay, *more)
    sys.stdout.write(f"{verdict.stdout}{verdict.stderr}\n")
    return verdict.returncode


if __name__ == "__main__":
    sys.exit(main())
