"""A provider that speaks the great dialects and forgives nothing that the real ones do not forgive.

What it answers is decided by the last question: cities are looked up by tools, "and then" makes it ask for one after
the other, "think" needs no word (thinking is asked for by the dialect's own field), `refuse`, `cite`, `long`, `slow`,
`fail 429` say what they do. A turn that called tools while thinking must come back with what was signed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from aiohttp import web
from tests.webserver import WebServer

from . import strict_asking as asking
from . import strict_bedrock as bedrock
from . import strict_saying as saying
from .strict_asking import Asked, Call, Refused
from .strict_saying import Event, Said

_CITY = re.compile("Paris|Rome|Oslo")
_PATHS = re.compile(
    "/v1/(chat/completions|responses|messages|messages/count_tokens)"
    "|/v1beta/models/[^/]+:(generateContent|streamGenerateContent|countTokens)"
    f"|{bedrock.PATH.pattern}"
)
_FAIL = re.compile(r"fail (\d+)")
_KINDS = {400: "invalid", 401: "auth", 404: "missing", 429: "rate", 503: "overloaded"}
_SIGNED = "c2lnbmVkLWJ5LXRoZS1wcm92aWRlcg=="

_READ: dict[str, Callable[[dict[str, Any], str], Asked]] = {
    "openai": lambda body, path: asking.read_chat(body),
    "openai-responses": lambda body, path: asking.read_responses(body),
    "anthropic": lambda body, path: asking.read_messages(body),
    "gemini": asking.read_generate,
    "bedrock": bedrock.read_converse,
}
_WHOLE: dict[str, Callable[[Said], dict[str, Any]]] = {
    "openai": saying.chat,
    "openai-responses": saying.responses,
    "anthropic": saying.messages,
    "gemini": saying.generate,
    "bedrock": bedrock.converse,
}
_EVENTS: dict[str, Callable[[Said], Iterator[Event]]] = {
    "openai": saying.chat_events,
    "openai-responses": saying.responses_events,
    "anthropic": saying.messages_events,
    "gemini": saying.generate_events,
}
#: Dialects in which a thinking model's calls must come back signed.
_SIGNING = {"anthropic", "gemini", "bedrock"}


class StrictProvider(WebServer):
    """The provider: `async with StrictProvider() as provider`; `url` is without a slash.

    `asked` holds what was understood of each request, `bodies` the requests themselves, `abandoned` counts streams
    whose caller left.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.abandoned = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.bodies.append(raw)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        dialect = _dialect(request.path)
        try:
            if not _PATHS.fullmatch(request.path):
                raise Refused(404, "missing", f"there is nothing at {request.path}")
            body = orjson.loads(raw)
            if request.path.endswith(("/count_tokens", ":countTokens", "/count-tokens")):
                return _counted(request.path, raw)
            asked = _READ[dialect](body, request.path)
            self.asked.append(asked)
            said = answer(asked, dialect)
        except Refused as fault:
            headers = {"retry-after": "7"} if fault.status == 429 else {}
            if dialect == "bedrock":
                headers["x-amzn-errortype"] = f"{bedrock.ERRORS[fault.status]}:http://internal.amazon.com/"
            return web.json_response(saying.error(dialect, fault), status=fault.status, headers=headers)
        if not asked.streamed:
            return web.json_response(_WHOLE[dialect](said))
        return await self._stream(request, dialect, said, slow="slow" in _question(asked))

    async def _stream(
        self, request: web.Request, dialect: str, said: Said, *, slow: bool
    ) -> web.StreamResponse:
        kind = bedrock.STREAM if dialect == "bedrock" else "text/event-stream"
        reply = web.StreamResponse(headers={"Content-Type": kind})
        await reply.prepare(request)
        try:
            for piece in _pieces(dialect, said):
                await reply.write(piece)
                if slow:
                    await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.CancelledError):
            self.abandoned += 1
            raise
        await reply.write_eof()
        return reply


def _pieces(dialect: str, said: Said) -> Iterator[bytes]:
    if dialect == "bedrock":
        yield from bedrock.converse_frames(said)
        return
    for name, data in _EVENTS[dialect](said):
        text = data.encode() if isinstance(data, str) else orjson.dumps(data)
        yield (f"event: {name}\n".encode() if name else b"") + b"data: " + text + b"\n\n"


def answer(asked: Asked, dialect: str) -> Said:
    """Decide what to say."""
    question = _question(asked)
    if failing := _FAIL.search(question):
        status = int(failing[1])
        raise Refused(status, _KINDS[status], f"The provider was told to fail with {status}.")
    _check_signatures(asked, dialect)
    said = _say(asked, question)
    said.model = asked.model
    if asked.thinking:
        said.thinking, said.signature = "Let me think about it.", _SIGNED
    return said


def _say(asked: Asked, question: str) -> Said:
    said = _say_with_tools(asked, question)
    if said is not None:
        return said
    images = asked.turns[-1].images
    if asked.schema:
        return Said(text='{"city":"Paris","sunny":true}')
    if images:
        return Said(text=f"I see {images} image.")
    if "refuse" in question:
        return Said(refusal="I cannot help with that.")
    if "cite" in question:
        return Said(text="Paris is the capital of France.", cited=True)
    times = 20 if "slow" in question else 1
    return Said(text="Hello there, this is an answer. " * times, cut="long" in question)


def _say_with_tools(asked: Asked, question: str) -> Said | None:
    results = asked.turns[-1].results
    cities = _CITY.findall(question)
    rounds = sum(bool(turn.results) for turn in asked.turns)
    if results and not ("and then" in question and rounds < len(cities)):
        return Said(text="Seen: " + "; ".join(results.values()) + ".")
    if not asked.tools or not cities:
        return None
    wanted = cities[rounds : rounds + 1] if "and then" in question else cities
    return Said(calls=[_call(asked, city) for city in wanted])


def _call(asked: Asked, city: str) -> Call:
    number = sum(len(turn.calls) for turn in asked.turns)
    return Call(f"call_{city.lower()}_{number}", asked.tools[0], {"city": city})


def _question(asked: Asked) -> str:
    return next((turn.text for turn in reversed(asked.turns) if turn.role == "user" and turn.text), "")


def _check_signatures(asked: Asked, dialect: str) -> None:
    if not asked.thinking or dialect not in _SIGNING:
        return
    for turn in asked.turns:
        if turn.calls and _SIGNED not in turn.signatures:
            raise Refused(400, "invalid", "a turn that called tools came back without its signature")


def _dialect(path: str) -> str:
    if path.startswith("/model/"):
        return "bedrock"
    if "/messages" in path:
        return "anthropic"
    if path.endswith("/responses"):
        return "openai-responses"
    return "gemini" if "/models/" in path else "openai"


def _counted(path: str, raw: bytes) -> web.Response:
    tokens = len(raw.split())
    called = re.split("[:/]", path)[-1]
    name = {"countTokens": "totalTokens", "count-tokens": "inputTokens"}.get(called, "input_tokens")
    return web.json_response({name: tokens})
