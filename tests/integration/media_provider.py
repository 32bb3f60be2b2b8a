"""A provider of pictures, sound and judgements that takes what the real ones take, and refuses what they refuse.

It speaks OpenAI's calls (`/v1`), xAI's pictures (`/xai/v1`), Mistral's sound and judgements (`/mistral/v1`) and Google's
(`/v1beta`, Vertex's `/v1/publishers/...`). What it was asked is kept as it understood it.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from tests.webserver import WebServer

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="
)
DATA = b64encode(PNG).decode()
#: A hundredth of a second of a tone: samples of 16 bits at 24 kHz.
SAMPLES = bytes(range(240)) * 2
MP3 = b"ID3" + bytes(range(256)) * 40
SAID = "The quick brown fox."

_GENERATIONS = {
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "background",
    "moderation",
    "output_format",
    "stream",
}
_GENERATIONS |= {"output_compression", "partial_images", "user", "images", "mask"}
_SPEECH = {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"}
_TRANSCRIPTION = {"model", "file", "language", "prompt", "response_format", "temperature", "stream"}
_TRANSCRIPTION |= {"timestamp_granularities[]", "include[]", "chunking_strategy"}
_GENERATE = {"contents", "generationConfig", "systemInstruction", "safetySettings"}
_CONFIG = {"responseModalities", "imageConfig", "speechConfig", "temperature", "seed", "candidateCount"}
_CONFIG |= {"responseMimeType", "responseJsonSchema"}
_PREDICT = {
    "sampleCount",
    "aspectRatio",
    "sampleImageSize",
    "negativePrompt",
    "seed",
    "outputOptions",
    "editMode",
}

_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm", "opus": "audio/opus"}
_CATEGORIES = {"harassment": False, "violence": True}
_SCORES = {"harassment": 0.01, "violence": 0.97}
_IMAGE_USAGE = {
    "input_tokens": 50,
    "output_tokens": 4160,
    "total_tokens": 4210,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 4160},
}


class Refusal(Exception):
    """What a request is refused with."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def must(holds: object, message: str) -> None:
    """Refuse a request that is not as it must be."""
    if not holds:
        raise Refusal(message)


class MediaProvider(WebServer):
    """The provider: `async with MediaProvider() as provider`; `url` is without a slash, `asked` what it was asked.

    `gate`, once set, lets the second half of streamed sound leave.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.gate = asyncio.Event()

    async def __aexit__(self, *fault: object) -> None:
        self.gate.set()
        await super().__aexit__(*fault)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        try:
            for end, handler in self._calls():
                if path.endswith(end):
                    asked = await _read(request)
                    self.asked.append((path, asked))
                    return await handler(request, asked)
            raise Refusal(f"there is nothing at {path}", 404)
        except Refusal as fault:
            google = path.startswith("/v1beta") or "/publishers/" in path
            told: dict[str, Any] = {"message": str(fault)}
            told |= (
                {"code": fault.status, "status": "INVALID_ARGUMENT"}
                if google
                else {
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            )
            return web.json_response({"error": told}, status=fault.status)

    def _calls(
        self,
    ) -> tuple[tuple[str, Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]], ...]:
        return (
            ("/images/generations", self._draw),
            ("/images/edits", self._draw),
            ("/audio/speech", self._speak),
            ("/audio/transcriptions", self._hear),
            ("/audio/translations", self._hear),
            ("/moderations", self._judge),
            (":generateContent", self._generate),
            (":predict", self._predict),
        )

    async def _draw(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        must(asked.get("prompt"), "prompt is required")
        if request.path.startswith("/xai/"):
            return await self._draw_as_xai(asked)
        form = request.content_type == "multipart/form-data"
        unknown = asked.keys() - _GENERATIONS - ({"image", "image[]", "mask"} if form else set())
        must(not unknown, f"Unknown parameter: '{min(unknown, default='')}'.")
        must(asked.get("size", "auto") in ("auto", "1024x1024", "1536x1024", "1024x1536"), "Invalid size")
        if request.path.endswith("/edits"):
            images = asked.get("image", asked.get("image[]")) if form else asked.get("images")
            must(images, "image is required")
            must(form or all(set(each) <= {"image_url", "file_id"} for each in asked["images"]), "bad images")
        count = int(asked.get("n") or 1)
        told = {
            "created": 1_700_000_000,
            "background": "opaque",
            "data": [{"b64_json": DATA}] * count,
            "output_format": "png",
            "quality": "high",
            "size": "1024x1024",
            "usage": _IMAGE_USAGE,
        }
        if not asked.get("stream"):
            return web.json_response(told)
        kind = "image_edit" if request.path.endswith("/edits") else "image_generation"
        events = [{"type": f"{kind}.partial_image", "b64_json": DATA, "partial_image_index": 0}]
        events.append({"type": f"{kind}.completed", "b64_json": DATA, "usage": _IMAGE_USAGE})
        return await _events(request, events)

    async def _draw_as_xai(self, asked: dict[str, Any]) -> web.StreamResponse:
        for image in asked.get("images", []):
            must(set(image) <= {"type", "url"} and image.get("url"), "images[].url is required")
        wanted = asked.get("response_format", "url")
        told = {"b64_json": DATA} if wanted == "b64_json" else {"url": "https://imgen.x.ai/a.jpeg"}
        usage = {"cost_in_usd_ticks": 200_000_000}
        return web.json_response({"data": [{**told, "mime_type": "image/jpeg"}], "usage": usage})

    async def _speak(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        must(asked.get("input"), "input is required")
        if request.path.startswith("/mistral/"):
            return web.json_response({"audio_data": b64encode(MP3).decode()})
        unknown = asked.keys() - _SPEECH
        must(not unknown, f"Unknown parameter: '{min(unknown, default='')}'.")
        must(asked.get("voice") in ("alloy", "coral", "echo"), "voice is not one of ours")
        form = asked.get("response_format", "mp3")
        must(form in _TYPES, "response_format is not one of ours")
        if asked.get("stream_format") == "sse":
            usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
            pieces: list[dict[str, Any]] = [
                {"type": "speech.audio.delta", "audio": b64encode(MP3).decode()},
                {"type": "speech.audio.done", "usage": usage},
            ]
            return await _events(request, pieces)
        sound = SAMPLES if form == "pcm" else MP3
        reply = web.StreamResponse(headers={"Content-Type": _TYPES[form]})
        await reply.prepare(request)
        await reply.write(sound[: len(sound) // 2])
        if "slowly" in asked["input"]:
            await self.gate.wait()
        await reply.write(sound[len(sound) // 2 :])
        await reply.write_eof()
        return reply

    async def _hear(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        must(request.content_type == "multipart/form-data", "a form is required")
        file = asked.get("file")
        must(isinstance(file, web.FileField) or asked.get("file_url"), "file is required")
        form = asked.get("response_format", "json")
        if request.path.startswith("/mistral/"):
            usage = {
                "prompt_audio_seconds": 2,
                "prompt_tokens": 4,
                "completion_tokens": 5,
                "total_tokens": 40,
            }
            told: dict[str, Any] = {"model": asked["model"], "text": SAID, "language": "en", "usage": usage}
            return web.json_response({**told, "segments": []})
        unknown = asked.keys() - _TRANSCRIPTION
        must(not unknown, f"Unknown parameter: '{min(unknown, default='')}'.")
        if form == "text":
            return web.Response(text=SAID + "\n")
        if asked.get("stream") == "true":
            usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}
            details = {"audio_tokens": 14, "text_tokens": 0}
            return await _events(
                request,
                [
                    {"type": "transcript.text.delta", "delta": SAID},
                    {
                        "type": "transcript.text.done",
                        "text": SAID,
                        "usage": {**usage, "input_token_details": details},
                    },
                ],
            )
        told = {"text": SAID, "usage": {"type": "duration", "seconds": 3}}
        if form == "verbose_json":
            segment = {
                "id": 0,
                "seek": 0,
                "start": 0.0,
                "end": 2.5,
                "text": SAID,
                "tokens": [],
                "temperature": 0.0,
            }
            segment |= {"avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0}
            del told["usage"]
            told |= {"task": "transcribe", "language": "english", "duration": 2.5, "segments": [segment]}
        return web.json_response(told)

    async def _judge(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        must(not asked.keys() - {"model", "input"}, "Unknown parameter")
        given = asked.get("input")
        count = len(given) if isinstance(given, list) and isinstance(given[0], str) else 1
        told: dict[str, Any] = {"categories": _CATEGORIES, "category_scores": _SCORES}
        if not request.path.startswith("/mistral/"):
            told["flagged"] = True
        return web.json_response({"id": "modr-1", "model": asked["model"], "results": [told] * count})

    async def _generate(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        must(not asked.keys() - _GENERATE, f"Unknown name: {asked.keys() - _GENERATE}")
        config = asked.get("generationConfig", {})
        must(not config.keys() - _CONFIG, f"Unknown name: {config.keys() - _CONFIG}")
        parts = asked["contents"][-1]["parts"]
        for part in parts:
            must(not part.get("fileData", {}).get("fileUri", "https:").startswith("http:"), "Cannot fetch")
        wanted = config.get("responseModalities", ["TEXT"])
        prompt, details = "".join(part.get("text", "") for part in parts), []
        reason = "STOP"
        if "IMAGE" in wanted and "forbidden" in prompt:
            answer, reason = [], "IMAGE_SAFETY"
        elif "IMAGE" in wanted:
            answer, details = [{"inlineData": {"mimeType": "image/png", "data": DATA}}], [("IMAGE", 1290)]
        elif "AUDIO" in wanted:
            voice = config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"]
            must(voice in ("Kore", "Puck"), "voice is not one of ours")
            kind = "audio/L16;codec=pcm;rate=24000"
            answer = [{"inlineData": {"mimeType": kind, "data": b64encode(SAMPLES).decode()}}]
            details = [("AUDIO", 25)]
        elif config.get("responseMimeType") == "application/json":
            segments = [{"start": 0, "end": 1.5, "speaker": "A", "text": SAID}]
            answer = [{"text": orjson.dumps({"language": "English", "segments": segments}).decode()}]
        else:
            answer = [{"text": f"{SAID}\n"}]
        heard = any(
            "inlineData" in part and part["inlineData"]["mimeType"].startswith("audio") for part in parts
        )
        return web.json_response(_content(answer, details, reason, heard=heard))

    async def _predict(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        settings = asked.get("parameters", {})
        must("imagen" in request.path, "this model predicts nothing")
        must(not settings.keys() - _PREDICT, f"Unknown name: {settings.keys() - _PREDICT}")
        told = {"mimeType": "image/png", "bytesBase64Encoded": DATA}
        return web.json_response({"predictions": [told] * int(settings.get("sampleCount", 1))})


def _content(
    parts: list[dict[str, Any]], details: list[tuple[str, int]], reason: str, *, heard: bool
) -> dict[str, Any]:
    made = details or [("TEXT", 6)]
    asked = [("TEXT", 8), *([("AUDIO", 64)] if heard else [])]

    def told(counts: list[tuple[str, int]]) -> list[dict[str, Any]]:
        return [{"modality": kind, "tokenCount": count} for kind, count in counts]

    prompt, output = (sum(count for _, count in counts) for counts in (asked, made))
    return {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": output,
            "totalTokenCount": prompt + output,
            "promptTokensDetails": told(asked),
            "candidatesTokensDetails": told(made),
        },
        "modelVersion": "gemini",
    }


async def _read(request: web.Request) -> dict[str, Any]:
    if request.content_type == "multipart/form-data":
        return dict(await request.post())
    return dict(await request.json())


async def _events(request: web.Request, told: list[dict[str, Any]]) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    for each in told:
        await reply.write(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(each)))
    await reply.write_eof()
    return reply
