"""The team's judge with one more client: recorded requests of every dialect, asked as Bedrock's callers ask.

    python -m tests.conformance.converse_client [--chunking HOW] [arguments of the judge]

The judge reads Converse, and writes it nowhere: what writes it is here, apart from the gateway's own code.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson
from tests.integration.replaying import RECORDINGS, SHARED

from .recorded import DIALECTS, gateway

NAME = "bedrock.converse"
Tree = dict[str, Any]


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
        converse_request(talk, model) if dialect == NAME else render(dialect, talk, model)
    )
    wiresem.cannot_say = lambda dialect, talk: _cannot_say(talk) if dialect == NAME else cannot(dialect, talk)
    wiresem.shape_problems = lambda dialect, reply: (
        _shape(reply) if dialect == NAME else shape(dialect, reply)
    )
    return translate_check


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


def judge(address: str, replay: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the judge, in a process of its own; its last line counts what passed, failed and was skipped."""
    command = [sys.executable, "-m", __spec__.name, str(RECORDINGS), "--gateway", address, "--replay", replay]
    command += ["--strict-route", "--client", NAME, "--model", "{provider}.{dialect}/{model}--{id}"]
    for dialect in DIALECTS:
        command += ["--dialect", dialect]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=600)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the callers of Bedrock before every recorded provider; with `--gateway`, be that judge."""
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
