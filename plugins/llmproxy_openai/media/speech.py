"""Speech: `audio/speech`, in the canonical form and out of it, both ways.

Sources: CreateSpeechRequest and its stream's events of OpenAI's API; SpeechRequest of Mistral's.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.canonical import SpeechAnswer, SpeechRequest
from llmproxy.canonical.fields import number, required_text, rest, text
from llmproxy.canonical.voices import openais_voice
from llmproxy.plugin import BadField, Headers, Reply
from llmproxy_openai.media.counts import write_media_usage
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: The content type of each format. `pcm` has none of its own with OpenAI; this one says how it is to be read.
TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_FORMATS: Final = {
    **{kind: name for name, kind in TYPES.items()},
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/x-flac": "flac",
    "audio/l16": "pcm",
}
_KNOWN: Final = frozenset(
    {
        "model",
        "input",
        "voice",
        "voice_id",
        "instructions",
        "response_format",
        "speed",
        "stream_format",
        "stream",
    }
    | {"user", "language"}
)


class Manner(NamedTuple):
    """How a caller wants its sound: in which format, whether in events, and whether in JSON as Mistral has it."""

    format: str = "mp3"
    events: bool = False
    packed: bool = False


def decode_speech(told: dict[str, Any], losses: Losses) -> SpeechRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(told, _KNOWN, "", losses)
    wanted = text(told, "response_format")
    if wanted and wanted not in TYPES:
        allowed = ", ".join(TYPES)
        raise BadField("invalid_value", f"'response_format' must be one of {allowed}.", "response_format")
    return SpeechRequest(
        model=text(told, "model"),
        text=required_text(told, "input"),
        voice=_voice(told.get("voice")) or text(told, "voice_id"),
        instructions=text(told, "instructions"),
        format=wanted,
        speed=number(told, "speed"),
        language=text(told, "language"),
        events=text(told, "stream_format") == "sse" or told.get("stream") is True,
        user=text(told, "user"),
    )


def _voice(value: Any) -> str:
    if type(value) is dict:
        return text(value, "id", "voice.")
    if value is not None and type(value) is not str:
        raise BadField("invalid_type", "'voice' must be a name, or an object with an id.", "voice")
    return value or ""


def encode_speech(request: SpeechRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Write a request; the sound is asked for in one piece."""
    voice = openais_voice(request.voice, losses) or "alloy"
    body: dict[str, Any] = {"model": model, "input": request.text, "voice": voice}
    told = {
        "instructions": request.instructions,
        "response_format": request.format,
        "speed": request.speed,
    }
    body |= {key: value for key, value in told.items() if value not in ("", None)}
    for name in ("language", "user"):
        if getattr(request, name):
            losses.lose(name)
    return body


def read_speech(reply: Reply, body: bytes) -> SpeechAnswer:
    """Read an answer: sound, or JSON that holds it.

    Raises:
        ValueError: it is neither.
    """
    kind, _, rest_of = (reply.headers.get("content-type") or "").lower().partition(";")
    if kind.strip() == "application/json":
        return _read_json(orjson.loads(body))
    form = _FORMATS.get(kind.strip())
    if form is None:
        raise ValueError("the answer is no sound")
    return SpeechAnswer(audio=body, format=form, rate=_rate(rest_of))


def _rate(parameters: str) -> int:
    found = [each.partition("=")[2].strip() for each in parameters.split(";") if "rate=" in each]
    return int(found[0]) if found and found[0].isdecimal() and len(found[0]) < 7 else 24_000


def _read_json(told: Any) -> SpeechAnswer:
    """Read what Mistral answers: the sound in base64."""
    try:
        audio = b64decode(told["audio_data"], validate=True)
    except (KeyError, TypeError, Base64Error) as fault:
        raise ValueError("the answer holds no sound") from fault
    usage = told.get("usage")
    return SpeechAnswer(audio=audio, format="mp3", usage=read_usage(usage) if type(usage) is dict else None)


def write_speech(answer: SpeechAnswer, manner: Manner) -> Reply:
    """Write an answer: the sound itself, or the events that were asked for."""
    if not manner.events and manner.packed:
        return Reply.json({"audio_data": b64encode(answer.audio).decode()})
    if not manner.events:
        kind = TYPES[answer.format]
        if answer.format == "pcm" and answer.rate != 24_000:
            kind = f"{kind};rate={answer.rate}"
        return Reply(200, Headers.of({"Content-Type": kind}), answer.audio)
    told: list[dict[str, Any]] = [
        {
            "type": "speech.audio.delta",
            "audio_data" if manner.packed else "audio": b64encode(answer.audio).decode(),
        },
        {"type": "speech.audio.done"},
    ]
    if answer.usage is not None:
        told[1]["usage"] = write_media_usage(answer.usage)
    body = b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in told)
    return Reply(200, Headers.of({"Content-Type": "text/event-stream; charset=utf-8"}), body)
