"""Providers of what is not answered at once: files, batches, sessions, as OpenAI, Mistral, Anthropic, Google have them.

A batch is running when it is first looked at, and has ended at the second look.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
from aiohttp import WSMsgType, web
from tests.webserver import WebServer

#: What each answer used, in the words of each.
CHAT = {"prompt_tokens": 18, "completion_tokens": 112, "total_tokens": 130}
RESPONSES = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 224,
    "output_tokens_details": {"reasoning_tokens": 128},
    "total_tokens": 260,
}
MESSAGES = {"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 2}
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 17}
SPOKEN = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64},
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
LIVE = {"promptTokenCount": 10, "responseTokenCount": 7, "totalTokenCount": 17}
LARGE = b"a line of a file\n" * 200_000


class JobsProvider(WebServer):
    """Serve it with `async with JobsProvider() as provider`; `targets` holds method and path of each request."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.looks: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.headers: list[dict[str, str]] = []
        self.models: list[str] = []
        self.queries: list[dict[str, str]] = []

    def application(self) -> web.Application:
        application = web.Application(client_max_size=2**26)
        routes = {
            "POST /v1/files": self.upload,
            "GET /v1/files/{id}/content": self.content,
            "POST /v1/batches": self.batch,
            "GET /v1/batches/{id}": self.batch,
            "POST /v1/batches/{id}/cancel": self.batch,
            "POST /v1/batch/jobs": self.job,
            "GET /v1/batch/jobs/{id}": self.job,
            "GET /v1/realtime": self.talk,
            "GET /openai/realtime": self.talk,
            "GET /v1/responses": self.talk_of_responses,
            "POST /v1/responses": self.response,
            "GET /v1/responses/{id}": self.response,
            "POST /v1/messages/batches": self.messages,
            "GET /v1/messages/batches/{id}": self.messages,
            "GET /v1/messages/batches/{id}/results": self.results,
            "POST /upload/v1beta/files": self.resumable,
            "GET /v1beta/files/{name}": self.gemini_file,
            "POST /v1beta/models/{call}": self.gemini_batch,
            "GET /v1beta/batches/{id}": self.gemini_batch,
            "GET /ws/{service}": self.live,
        }
        for route, handler in routes.items():
            method, path = route.split()
            application.router.add_route(method, path, self._seen(handler))
        return application

    def _seen(self, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.targets.append(f"{request.method} {request.path}")
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            answer: web.StreamResponse = await handler(request)
            return answer

        return handle

    def _ended(self, name: str) -> bool:
        self.looks[name] += 1
        return self.looks[name] > 1

    # OpenAI, and who speaks like it.

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file: Any = form["file"]
        self.files["file-in"] = file.file.read()
        if "anthropic-version" in request.headers:
            told = {"type": "file", "id": "file_in", "filename": file.filename, "mime_type": "text/plain"}
            return web.json_response(
                {
                    **told,
                    "size_bytes": len(self.files["file-in"]),
                    "created_at": "2026-01-23T19:43:55Z",
                    "downloadable": False,
                }
            )
        told = {"id": "file-in", "object": "file", "bytes": len(self.files["file-in"]), "created_at": 1}
        return web.json_response(
            {
                **told,
                "filename": file.filename,
                "purpose": form["purpose"],
                "status": "processed",
                "sample_type": "batch_request",
                "source": "upload",
            }
        )

    async def content(self, request: web.Request) -> web.Response:
        if request.match_info["id"] == "file-large":
            return web.Response(body=LARGE, content_type="application/octet-stream")
        lines = [
            {
                "id": f"batch_req_{n}",
                "custom_id": str(n),
                "response": {
                    "status_code": 200,
                    "request_id": "r",
                    "body": {"model": "gpt-own", "usage": CHAT},
                },
                "error": None,
            }
            for n in range(2)
        ]
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        return web.Response(body=body, content_type="application/octet-stream")

    async def batch(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id", "batch_1")
        ended = request.method == "GET" and self._ended(name)
        status = "completed" if ended else "in_progress"
        if request.path.endswith("/cancel"):
            status = "cancelling"
        told = {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/responses",
            "input_file_id": "file-in",
            "completion_window": "24h",
            "status": status,
            "created_at": 1,
        }
        if name != "batch_groq":  # which tells nothing in the object
            nothing = {**RESPONSES, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            told |= {"model": "gpt-own", "usage": RESPONSES if ended else nothing}
        return web.json_response({**told, "output_file_id": f"file-{name}" if ended else None})

    async def job(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id", "job-1")
        ended = request.method == "GET" and self._ended(name)
        told = {
            "id": name,
            "object": "batch",
            "input_files": ["file-in"],
            "endpoint": "/v1/chat/completions",
            "errors": [],
            "status": "SUCCESS" if ended else "RUNNING",
            "created_at": 1,
            "total_requests": 2,
            "completed_requests": 2,
            "succeeded_requests": 2,
            "failed_requests": 0,
        }
        return web.json_response({**told, "output_file": f"file-{name}" if ended else None})

    async def response(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id", "resp_background_1")
        ended = request.method == "GET" and self._ended(name)
        told: dict[str, Any] = {
            "id": name,
            "object": "response",
            "created_at": 1,
            "status": "completed" if ended else "queued",
            "background": True,
            "model": "gpt-own",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": RESPONSES if ended else None,
        }
        return web.json_response(told)

    async def talk(self, request: web.Request) -> web.StreamResponse:
        model = request.query.get("model") or request.query["deployment"]
        self.models.append(model)
        self.queries.append(dict(request.query))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_1",
            "model": model,
        }
        await socket.send_json({"type": "session.created", "event_id": "e0", "session": session})
        async for message in socket:
            asked = orjson.loads(message.data)
            if asked["type"] == "response.create":
                await socket.send_json(
                    {"type": "response.output_text.delta", "delta": "Hi", "event_id": "e1"}
                )
                done = {"id": "resp_1", "object": "realtime.response", "status": "completed", "usage": SPOKEN}
                await socket.send_json({"type": "response.done", "event_id": "e2", "response": done})
        return socket

    async def talk_of_responses(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            asked = orjson.loads(message.data)
            answer = {"id": "resp_1", "object": "response", "status": "completed", "usage": RESPONSES}
            answer |= {"model": asked["model"], "output": [], "tools": [], "created_at": 1}
            await socket.send_json({"type": "response.completed", "sequence_number": 1, "response": answer})
        return socket

    # Anthropic.

    async def messages(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id", "msgbatch_1")
        ended = request.method == "GET" and self._ended(name)
        return web.json_response(
            {
                "id": name,
                "type": "message_batch",
                "processing_status": "ended" if ended else "in_progress",
                "request_counts": {
                    "processing": 0,
                    "succeeded": 2,
                    "errored": 0,
                    "canceled": 0,
                    "expired": 0,
                },
                "created_at": "2026-08-19T14:44:51.493319+00:00",
                "expires_at": "2026-08-20T14:44:51.493319+00:00",
                "ended_at": None,
                "archived_at": None,
                "cancel_initiated_at": None,
                "results_url": f"{self.url}/v1/messages/batches/{name}/results" if ended else None,
            }
        )

    async def results(self, request: web.Request) -> web.Response:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-own",
            "content": [{"type": "text", "text": "4"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": MESSAGES,
        }
        lines = [
            {"custom_id": "0", "result": {"type": "succeeded", "message": message}},
            {"custom_id": "1", "result": {"type": "succeeded", "message": message}},
            {"custom_id": "2", "result": {"type": "expired"}},
        ]
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        return web.Response(body=body, content_type="application/x-jsonl")

    # Google.

    async def resumable(self, request: web.Request) -> web.Response:
        if request.headers["X-Goog-Upload-Command"] == "start":
            address = (
                f"{self.url}/upload/v1beta/files?upload_id=AJjja9Z6EghMkTd5in1efI&upload_protocol=resumable"
            )
            return web.Response(headers={"X-Goog-Upload-URL": address, "X-Goog-Upload-Status": "active"})
        assert request.query["upload_id"] == "AJjja9Z6EghMkTd5in1efI"
        self.files["files/f"] = self.files.get("files/f", b"") + await request.read()
        if "finalize" not in request.headers["X-Goog-Upload-Command"]:
            return web.Response(headers={"X-Goog-Upload-Status": "active"})
        file = {"name": "files/f", "sizeBytes": str(len(self.files["files/f"])), "mimeType": "text/plain"}
        return web.json_response({"file": file}, headers={"X-Goog-Upload-Status": "final"})

    async def gemini_file(self, request: web.Request) -> web.Response:
        if not request.match_info["name"].endswith(":download"):
            return web.json_response({"name": "files/f", "state": "ACTIVE"})
        answer = {"candidates": [], "usageMetadata": GEMINI, "modelVersion": "gemini-own"}
        lines = [{"key": str(n), "response": answer} for n in range(2)]
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        return web.Response(body=body, content_type="application/octet-stream")

    async def gemini_batch(self, request: web.Request) -> web.Response:
        ended = request.method == "GET" and self._ended("batches/b")
        state = "BATCH_STATE_SUCCEEDED" if ended else "BATCH_STATE_RUNNING"
        metadata = {"model": "models/gemini-own", "state": state, "name": "batches/b"}
        told: dict[str, Any] = {"name": "batches/b", "metadata": metadata}
        if ended:
            content = {"role": "model", "parts": [{"text": "4"}]}
            answer = {
                "candidates": [{"content": content}],
                "usageMetadata": GEMINI,
                "modelVersion": "gemini-own",
            }
            told |= {
                "done": True,
                "response": {"inlinedResponses": {"inlinedResponses": [{"response": answer}] * 2}},
            }
        return web.json_response(told)

    async def live(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY)
            asked = orjson.loads(message.data)
            if "setup" in asked:
                await socket.send_bytes(orjson.dumps({"setupComplete": {}}))
                continue
            turn = {"modelTurn": {"role": "model", "parts": [{"text": "Hi"}]}, "turnComplete": True}
            await socket.send_bytes(orjson.dumps({"serverContent": turn, "usageMetadata": LIVE}))
        return socket
