"""A stand-in for a resource of Azure OpenAI: strict about keys, versions, deployments, and filtering as Azure does."""

from __future__ import annotations

import re
from typing import Any

import orjson
from aiohttp import web

from .strict_provider import StrictProvider
from .strict_saying import chat_events

KEY = "key-of-the-resource"
VERSION = "2024-10-21"
_PATH = re.compile(r"/openai/deployments/(?P<name>[^/]+)(?P<call>/.+)")
_UNDATED = "/openai/v1"
_SAFE = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}
_PROMPT = [{"prompt_index": 0, "content_filter_results": _SAFE}]


class AzureResource(StrictProvider):
    """The provider of all dialects at Azure's paths; `targets` holds where it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.targets.append(request.raw_path)
        found = _PATH.fullmatch(request.path)
        if refusal := _refusal(request, found):
            return refusal
        call = request.path.removeprefix(_UNDATED) if found is None else found["call"]
        plain = request.clone(rel_url=f"/v1{call}")
        if b"build a bomb" in await plain.read():
            return _filtered()
        reply = await super().handle(plain)
        if isinstance(reply, web.Response) and reply.status == 200 and call.endswith("/chat/completions"):
            told: dict[str, Any] = orjson.loads(reply.body)  # type: ignore[arg-type]  # it is bytes
            for choice in told["choices"]:
                choice["content_filter_results"] = _SAFE
            return web.json_response({**told, "prompt_filter_results": _PROMPT})
        return reply

    async def _stream(self, request: web.Request, dialect: str, said: Any, *, slow: bool) -> Any:
        if dialect != "openai":
            return await super()._stream(request, dialect, said, slow=slow)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        asynchronous = {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": _SAFE,
            "content_filter_offsets": {"check_offset": 1, "start_offset": 0, "end_offset": 5},
        }
        for event in ({**first, "prompt_filter_results": _PROMPT}, {**first, "choices": [asynchronous]}):
            await reply.write(b"data: " + orjson.dumps(event) + b"\n\n")
        for _, data in chat_events(said):
            text = data.encode() if isinstance(data, str) else orjson.dumps(data)
            await reply.write(b"data: " + text + b"\n\n")
        await reply.write_eof()
        return reply


def _refusal(request: web.Request, found: re.Match[str] | None) -> web.Response | None:
    if request.headers.get("api-key") != KEY or "authorization" in request.headers:
        return _refuse(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
    known = (
        request.path.startswith(_UNDATED) if found is None else request.query.get("api-version") == VERSION
    )
    if not known:
        return _refuse(404, "404", "Resource not found")
    if found is not None and found["name"] != "mine":
        return _refuse(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
    return None


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _filtered() -> web.Response:
    result = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}
    message = (
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    )
    error = {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
    return web.json_response({"error": {**error, "innererror": inner}}, status=400)
