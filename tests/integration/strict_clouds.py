"""The strict provider as other clouds have it: Claude and Gemini on Vertex, Claude invoked on Bedrock."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from . import strict_asking as asking
from . import strict_bedrock as bedrock
from . import strict_saying as saying
from .strict_asking import Asked, Refused
from .strict_provider import StrictProvider, answer
from .strict_saying import Said

_PROJECT = "/v1/projects/p/locations/l/publishers/"
_CLAUDE = re.compile(_PROJECT + r"anthropic/models/([^/]+):(rawPredict|streamRawPredict)")
_GEMINI = re.compile(_PROJECT + r"google/models/[^/]+:(generateContent|streamGenerateContent|countTokens)")
_PREDICTED = re.compile(_PROJECT + r"google/models/[^/]+embedding[^/]+:predict")
_INVOKED = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
#: The one token that the clouds know.
TOKEN = "cloud-token"


class CloudProvider(StrictProvider):
    """The strict provider, which serves clouds too; those refuse who has not their token."""

    def is_known(self, token: str) -> bool:
        """Whether a token is one of this cloud's."""
        return token == TOKEN

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if found := _CLAUDE.fullmatch(request.path):
            return await self._cloud(request, "vertex", unquote(found[1]), found[2] == "streamRawPredict")
        if found := _INVOKED.fullmatch(request.path):
            return await self._cloud(request, "bedrock", unquote(found[1]), found[2] != "invoke")
        if _PREDICTED.fullmatch(request.path):
            return await self._predict(request)
        if _GEMINI.fullmatch(request.path):
            return await self._cloud(request, "gemini", "", request.query.get("alt") == "sse")
        return await super().handle(request)

    async def _predict(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        texts = [instance["content"] for instance in orjson.loads(self.bodies[-1])["instances"]]
        vectors = [{"values": [float(len(text)), 0.5], "statistics": {"token_count": 2}} for text in texts]
        return web.json_response({"predictions": [{"embeddings": vector} for vector in vectors]})

    async def _cloud(
        self, request: web.Request, cloud: str, model: str, streamed: bool
    ) -> web.StreamResponse:
        raw = await request.read()
        self.bodies.append(raw)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        try:
            token = self.headers[-1].get("authorization", "").removeprefix("Bearer ")
            if cloud != "bedrock" and not self.is_known(token):
                raise Refused(401, "auth", "no token of this cloud")
            body = orjson.loads(raw)
            if model == "count-tokens" or request.path.endswith(":countTokens"):
                tokens = len(raw.split())
                return web.json_response({"input_tokens": tokens, "totalTokens": tokens})
            asked = _asked(cloud, body, request.path, model, streamed)
            self.asked.append(asked)
            said = answer(asked, "gemini" if cloud == "gemini" else "anthropic")
        except Refused as fault:
            return _refused(cloud, fault)
        if not streamed:
            return web.json_response(saying.generate(said) if cloud == "gemini" else saying.messages(said))
        kind = bedrock.STREAM if cloud == "bedrock" else "text/event-stream"
        return web.Response(body=b"".join(_pieces(cloud, said)), headers={"Content-Type": kind})


def _asked(cloud: str, body: dict[str, Any], path: str, model: str, streamed: bool) -> Asked:
    if cloud == "gemini":
        return asking.read_generate(body, path)
    version = body.pop("anthropic_version", None)
    if version != f"{cloud}-{'2023-10-16' if cloud == 'vertex' else '2023-05-31'}" and not (
        isinstance(version, str) and _DATED.fullmatch(version)
    ):
        raise Refused(400, "invalid", f"anthropic_version: {version!r}")
    if "model" in body:
        raise Refused(400, "invalid", "model: Extra inputs are not permitted")
    if cloud == "bedrock":
        if "stream" in body:
            raise Refused(400, "invalid", "stream: Extra inputs are not permitted")
        body.pop("anthropic_beta", None)
    elif body.get("stream", False) is not streamed:
        raise Refused(400, "invalid", "the path says otherwise than stream")
    return asking.read_messages({**body, "model": model, "stream": streamed})


def _pieces(cloud: str, said: Said) -> Iterator[bytes]:
    events = saying.generate_events(said) if cloud == "gemini" else saying.messages_events(said)
    for name, data in events:
        text = data.encode() if isinstance(data, str) else orjson.dumps(data)
        if cloud == "bedrock":
            if b'"message_stop"' in text:
                counts = {"inputTokenCount": 32, "outputTokenCount": 20}
                text = orjson.dumps({**orjson.loads(text), "amazon-bedrock-invocationMetrics": counts})
            yield bedrock.frame("chunk", {"bytes": base64.b64encode(text).decode(), "p": "abc"})
        else:
            yield (f"event: {name}\n".encode() if name else b"") + b"data: " + text + b"\n\n"


def _refused(cloud: str, fault: Refused) -> web.Response:
    headers = {"retry-after": "7"} if fault.status == 429 else {}
    if cloud == "bedrock":
        headers["x-amzn-errortype"] = bedrock.ERRORS[fault.status]
        return web.json_response({"message": str(fault)}, status=fault.status, headers=headers)
    told = saying.error("gemini" if cloud == "gemini" else "anthropic", fault)
    return web.json_response(told, status=fault.status, headers=headers)
