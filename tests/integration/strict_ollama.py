"""An Ollama server that forgives nothing that the real one does not; written apart from the gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson
from aiohttp import web
from tests.webserver import WebServer

from .strict_asking import Asked, Call, Refused, Turn
from .strict_provider import answer
from .strict_saying import INPUT, OUTPUT, Said, pieces

_MEMBERS = {"model", "messages", "tools", "stream", "format", "options", "think", "keep_alive", "logprobs"}
_MESSAGE = {"role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"}
_ROLES = {"system", "user", "assistant", "tool"}


class StrictOllama(WebServer):
    """The server: `async with StrictOllama() as server`; `asked` holds what was understood of each chat."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.bodies: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/tags":
            return web.json_response({"models": [{"name": "llama3:latest", "model": "llama3:latest"}]})
        body = orjson.loads(await request.read())
        self.bodies.append(body)
        if request.path == "/api/show":
            return web.json_response({"capabilities": ["completion"], "model_info": {"own": True}})
        if request.path == "/api/embed":
            return web.json_response(_embedded(body))
        try:
            if request.path != "/api/chat":
                raise Refused(404, "missing", f"there is nothing at {request.path}")
            asked = read(body)
            self.asked.append(asked)
            said = answer(asked, "ollama")
        except Refused as fault:
            return web.json_response({"error": str(fault)}, status=fault.status)
        if not asked.streamed:
            return web.json_response(_line(said, _message(said), done=True))
        reply = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await reply.prepare(request)
        for line in lines(said):
            await reply.write(orjson.dumps(line) + b"\n")
        await reply.write_eof()
        return reply


def _embedded(body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    return {
        "model": body["model"],
        "embeddings": [[0.5, float(len(text))] for text in texts],
        "prompt_eval_count": 3,
    }


def read(body: dict[str, Any]) -> Asked:
    """Read a chat; refuses what no version of Ollama knows."""
    if unknown := body.keys() - _MEMBERS:
        raise Refused(400, "invalid", f"unknown members {sorted(unknown)}")
    asked = Asked(body["model"], streamed=body.get("stream", True))
    for message in body["messages"]:
        _read_message(asked, message)
    asked.tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    asked.schema = isinstance(body.get("format"), dict)
    asked.thinking = bool(body.get("think"))
    return asked


def _read_message(asked: Asked, message: dict[str, Any]) -> None:
    content = message.get("content", "")
    if message.keys() - _MESSAGE or message["role"] not in _ROLES or not isinstance(content, str):
        raise Refused(400, "invalid", f"no message: {sorted(message)}")
    if message["role"] == "system":
        asked.system += content
        return
    turn = asked.turn("assistant" if message["role"] == "assistant" else "user")
    if message["role"] == "tool":
        turn.results[_answered(asked, turn, message)] = content
        return
    turn.text += content
    for data in message.get("images", []):
        base64.b64decode(data, validate=True)
        turn.images += 1
    for call in message.get("tool_calls", []):
        function = call["function"]
        assert isinstance(function["arguments"], dict)
        turn.calls.append(Call(call.get("id", ""), function["name"], function["arguments"]))


def _answered(asked: Asked, turn: Turn, message: dict[str, Any]) -> str:
    """Return a key for a result: its call's id where it is told, else its place among the results."""
    if len(asked.turns) < 2 or not asked.turns[-2].calls:
        raise Refused(400, "invalid", "a result answers no call")
    if message.get("tool_name") not in {None, *(call.name for call in asked.turns[-2].calls)}:
        raise Refused(400, "invalid", "a result names no tool that was called")
    return message.get("tool_call_id") or f"#{len(turn.results)}"


def _message(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or said.refusal}
    if said.thinking:
        message["thinking"] = said.thinking
    if said.calls:
        message["tool_calls"] = [_call(call, place) for place, call in enumerate(said.calls)]
    return message


def _call(call: Call, place: int) -> dict[str, Any]:
    return {"id": call.id, "function": {"index": place, "name": call.name, "arguments": call.arguments}}


def _line(said: Said, message: dict[str, Any], *, done: bool = False) -> dict[str, Any]:
    line = {
        "model": said.model,
        "created_at": "2026-01-02T03:04:05.678901234Z",
        "message": message,
        "done": done,
    }
    if not done:
        return line
    counts = {"prompt_eval_count": INPUT, "eval_count": OUTPUT, "total_duration": 9, "eval_duration": 5}
    return {**line, "done_reason": "length" if said.cut else "stop", **counts}


def lines(said: Said) -> Iterator[dict[str, Any]]:
    """Word it as the lines of a stream."""
    empty = {"role": "assistant", "content": ""}
    for piece in pieces(said.thinking):
        yield _line(said, {**empty, "thinking": piece})
    for piece in pieces(said.text or said.refusal):
        yield _line(said, {**empty, "content": piece})
    for place, call in enumerate(said.calls):
        yield _line(said, {**empty, "tool_calls": [_call(call, place)]})
    yield _line(said, empty, done=True)
