"""A Cohere server that forgives nothing that the real one does not; written apart from the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from aiohttp import web
from tests.webserver import WebServer

from .strict_asking import Asked, Call, Refused
from .strict_provider import answer
from .strict_saying import CACHED, INPUT, OUTPUT, THOUGHT, Said, pieces

_MEMBERS = {
    "model",
    "messages",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
    "priority",
    "stream",
}
_OF_ROLE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "tool_plan", "citations"},
    "tool": {"role", "content", "tool_call_id"},
}
USAGE = {
    "billed_units": {"input_tokens": 7, "output_tokens": OUTPUT},
    "tokens": {"input_tokens": INPUT, "output_tokens": OUTPUT, "reasoning_tokens": THOUGHT},
    "cached_tokens": CACHED,
}
DOCUMENT = {"id": "doc:0", "text": "Paris is the capital.", "title": "Facts"}


class StrictCohere(WebServer):
    """The server: `async with StrictCohere() as server`; `asked` holds what was understood of each chat."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        body = orjson.loads(await request.read() or b"{}")
        self.bodies.append(body)
        calls = {
            "/v2/embed": _embedded,
            "/v2/rerank": _ranked,
            "/v1/rerank": _ranked,
            "/v1/tokenize": _tokens,
        }
        if (call := calls.get(request.path)) is not None:
            return web.json_response(call(body))
        try:
            if request.path != "/v2/chat":
                raise Refused(404, "missing", f"there is nothing at {request.path}")
            asked = read(body)
            self.asked.append(asked)
            said = answer(asked, "cohere")
        except Refused as fault:
            headers = {"retry-after": "7"} if fault.status == 429 else {}
            return web.json_response({"id": "e", "message": str(fault)}, status=fault.status, headers=headers)
        if not asked.streamed:
            return web.json_response(_whole(said))
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for event in events(said):
            await reply.write(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)))
        await reply.write(b"data: [DONE]\n\n")
        await reply.write_eof()
        return reply


def _embedded(body: dict[str, Any]) -> dict[str, Any]:
    assert body["input_type"] in {"search_document", "search_query", "classification", "clustering", "image"}
    texts = body.get("texts") or body.get("images")
    vectors = [[0.5, float(len(text))] for text in texts]
    return {
        "id": "e1",
        "texts": texts,
        "embeddings": dict.fromkeys(body["embedding_types"], vectors),
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 3}},
        "response_type": "embeddings_by_type",
    }


def _ranked(body: dict[str, Any]) -> dict[str, Any]:
    if unknown := body.keys() - {"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"}:
        raise AssertionError(unknown)
    order = sorted(range(len(body["documents"])), key=lambda at: body["query"] not in body["documents"][at])
    results = [{"index": at, "relevance_score": 0.9 - place / 10} for place, at in enumerate(order)]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": "r1", "results": results[: body.get("top_n")], "meta": meta}


def _tokens(body: dict[str, Any]) -> dict[str, Any]:
    words = body["text"].split()
    return {"tokens": [len(word) for word in words], "token_strings": words}


def read(body: dict[str, Any]) -> Asked:
    """Read a chat; refuses what Cohere does not know."""
    if unknown := body.keys() - _MEMBERS:
        raise Refused(400, "invalid", f"unknown members {sorted(unknown)}")
    asked = Asked(body["model"], streamed=body.get("stream", False))
    for message in body["messages"]:
        _read_message(asked, message)
    asked.tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    asked.choice = body.get("tool_choice", "")
    if asked.choice not in {"", "REQUIRED", "NONE"}:
        raise Refused(400, "invalid", f"no such choice: {asked.choice}")
    asked.schema = "json_schema" in body.get("response_format", {})
    asked.thinking = body.get("thinking", {}).get("type") == "enabled"
    for document in body.get("documents", []):
        assert isinstance(document, str) or isinstance(document["data"], dict)
    return asked


def _read_message(asked: Asked, message: dict[str, Any]) -> None:
    role, content = message["role"], message.get("content")
    if message.keys() - _OF_ROLE[role]:
        raise Refused(400, "invalid", f"no message: {sorted(message)}")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if role == "system":
        asked.system += text
        return
    turn = asked.turn("assistant" if role == "assistant" else "user")
    if role == "tool":
        known = {call.id for call in asked.turns[-2].calls} if len(asked.turns) > 1 else set()
        if message["tool_call_id"] not in known:
            raise Refused(400, "invalid", "a result answers no call")
        turn.results[message["tool_call_id"]] = text
        return
    turn.text += text
    turn.images += sum(part["type"] == "image_url" for part in parts)
    for call in message.get("tool_calls", []):
        function = call["function"]
        turn.calls.append(Call(call["id"], function["name"], orjson.loads(function["arguments"])))


def _finish(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "MAX_TOKENS" if said.cut else "COMPLETE"


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _json(call: Call) -> str:
    return orjson.dumps(call.arguments).decode()


def _citation(said: Said, index: int) -> dict[str, Any]:
    source = {"type": "document", "id": "doc:0", "document": DOCUMENT}
    return {
        "start": 0,
        "end": 5,
        "text": said.text[:5],
        "sources": [source],
        "content_index": index,
        "type": "TEXT_CONTENT",
    }


def _parts(said: Said) -> list[tuple[str, str]]:
    parts = [("thinking", said.thinking), ("text", said.text or said.refusal)]
    return [(kind, text) for kind, text in parts if text]


def _whole(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    if said.calls:
        message["tool_plan"] = "I will look."
        message["tool_calls"] = [_call(call, _json(call)) for call in said.calls]
    if parts := _parts(said):
        message["content"] = [{"type": kind, kind: text} for kind, text in parts]
    if said.cited:
        message["citations"] = [_citation(said, len(parts) - 1)]
    return {"id": "a1", "message": message, "finish_reason": _finish(said), "usage": USAGE}


def events(said: Said) -> Iterator[dict[str, Any]]:
    """Word it as the events of a stream."""
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"type": "message-start", "id": "a1", "delta": {"message": start}}
    for index, (kind, text) in enumerate(_parts(said)):
        yield _event("content-start", index, content={"type": kind, kind: ""})
        for piece in pieces(text):
            yield _event("content-delta", index, content={kind: piece})
        if said.cited and kind == "text":
            yield _event("citation-start", 0, citations=_citation(said, index))
            yield {"type": "citation-end", "index": 0}
        yield {"type": "content-end", "index": index}
    for piece in pieces("I will look.") if said.calls else []:
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}
    for index, call in enumerate(said.calls):
        yield _event("tool-call-start", index, tool_calls=_call(call, ""))
        for piece in pieces(_json(call)):
            yield _event("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})
        yield {"type": "tool-call-end", "index": index}
    yield {"type": "message-end", "delta": {"finish_reason": _finish(said), "usage": USAGE}}


def _event(kind: str, index: int, **message: Any) -> dict[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": message}}
