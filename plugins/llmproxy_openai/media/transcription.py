"""Transcription: `audio/transcriptions` and `audio/translations`, in the canonical form and out of it, both ways.

Sources: CreateTranscriptionRequest and its answers of OpenAI's API; AudioTranscriptionRequest of Mistral's.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.canonical import Link, Spoken, TranscriptionAnswer, TranscriptionRequest
from llmproxy.canonical.fields import rest, text
from llmproxy.plugin import BadField, Headers, Reply
from llmproxy_openai.media.counts import write_heard_usage
from llmproxy_openai.media.forms import File, Sent, flag_of, number_of, write_form
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

FORMATS: Final = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
_KNOWN: Final = frozenset(
    {
        "model",
        "language",
        "prompt",
        "response_format",
        "temperature",
        "timestamp_granularities",
        "stream",
        "file",
    }
    | {"file_url", "diarize"}
)
_PLAIN: Final = "text/plain; charset=utf-8"


class Manner(NamedTuple):
    """How a caller wants what was said: in which format, whether in events, and of which task it is."""

    format: str = "json"
    streamed: bool = False
    translated: bool = False
    words: bool = False


def decode_transcription(sent: Sent, losses: Losses, *, translate: bool) -> TranscriptionRequest:
    """Read a form; report what the canonical form cannot hold."""
    told = sent.members
    rest(told, _KNOWN, "", losses)
    files = sent.files.get("file")
    if not files and not text(told, "file_url"):
        raise BadField("missing_field", "The form must hold a recording as 'file'.", "file")
    wanted = text(told, "response_format")
    if wanted and wanted not in FORMATS:
        allowed = ", ".join(FORMATS)
        raise BadField("invalid_value", f"'response_format' must be one of {allowed}.", "response_format")
    if flag_of(told, "diarize"):
        wanted = wanted or "diarized_json"
    return TranscriptionRequest(
        model=text(told, "model"),
        audio=files[0].inline() if files else Link(url=text(told, "file_url")),
        filename=files[0].name if files else "",
        translate=translate,
        language=text(told, "language"),
        prompt=text(told, "prompt"),
        format=wanted,
        temperature=number_of(told, "temperature"),
        timestamps=_granularities(told.get("timestamp_granularities")),
        streamed=flag_of(told, "stream"),
    )


def _granularities(value: Any) -> tuple[str, ...]:
    given = [value] if type(value) is str else value or []
    if type(given) is not list or not all(each in ("word", "segment") for each in given):
        where = "timestamp_granularities"
        raise BadField("invalid_value", f"'{where}[]' must be 'word' or 'segment'.", where)
    return tuple(given)


def encode_transcription(
    request: TranscriptionRequest, model: str, losses: Losses
) -> tuple[str, bytes, bytes]:
    """Write a request: its path, its form, the form's content type; the answer is asked for in one piece."""
    texts = [("model", model)]
    told = (
        ("language", request.language),
        ("prompt", request.prompt),
        ("response_format", request.format),
        ("temperature", "" if request.temperature is None else f"{request.temperature:g}"),
    )
    texts += [(name, value) for name, value in told if value]
    texts += [("timestamp_granularities[]", each) for each in request.timestamps]
    files = []
    if isinstance(request.audio, Link):
        texts.append(("file_url", request.audio.url))
    else:
        try:
            data = b64decode(request.audio.data, validate=True)
        except Base64Error:
            raise BadField("invalid_value", "The recording is not valid base64.") from None
        files = [("file", File(request.filename or "audio", request.audio.media_type, data))]
    path = "/audio/translations" if request.translate else "/audio/transcriptions"
    if request.translate and request.language:
        losses.lose("language", "what is translated is heard without being told its language")
        texts = [each for each in texts if each[0] != "language"]
    return path, *write_form(texts, files)


def read_transcription(reply: Reply, body: bytes) -> TranscriptionAnswer:
    """Read an answer: JSON, or what is text already.

    Raises:
        ValueError: it is neither.
    """
    kind = (reply.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return TranscriptionAnswer(text=body.decode())
    told = orjson.loads(body)
    if type(told) is not dict or type(told.get("text")) is not str:
        raise ValueError("the answer holds no text")
    usage, duration = told.get("usage"), told.get("duration")
    return TranscriptionAnswer(
        text=told["text"],
        language=language if type(language := told.get("language")) is str else "",
        duration=duration if type(duration) in (int, float) else None,
        segments=tuple(_pieces(told.get("segments"), "text")),
        words=tuple(_pieces(told.get("words"), "word")),
        model=model if type(model := told.get("model")) is str else "",
        usage=read_usage(usage) if type(usage) is dict else None,
    )


def _pieces(value: Any, key: str) -> list[Spoken]:
    found = []
    for each in value if type(value) is list else ():
        start, end, said = each["start"], each["end"], each.get(key)
        speaker = each.get("speaker", each.get("speaker_id"))
        if type(said) is str:
            found.append(Spoken(float(start), float(end), said, speaker if type(speaker) is str else ""))
    return found


def write_transcription(answer: TranscriptionAnswer, manner: Manner) -> Reply:
    """Write an answer in the format that was asked for."""
    if manner.streamed:
        return Reply(200, Headers.of({"Content-Type": "text/event-stream; charset=utf-8"}), _events(answer))
    if manner.format == "text":
        return Reply.text(answer.text + "\n")
    if manner.format == "srt":
        return Reply.text("".join(_srt(answer)))
    if manner.format == "vtt":
        return Reply(
            200, Headers.of({"Content-Type": _PLAIN}), "".join(["WEBVTT\n\n", *_vtt(answer)]).encode()
        )
    body: dict[str, Any] = {"text": answer.text}
    if manner.format == "verbose_json":
        body = _verbose(answer, manner)
    elif manner.format == "diarized_json":
        body = {"task": "transcribe", "duration": _duration(answer), **body, "segments": _diarized(answer)}
    if manner.format == "json":
        body |= {"model": answer.model, "language": answer.language or None}
    if answer.usage is not None:
        body["usage"] = write_heard_usage(answer.usage)
    return Reply.json(body)


def _verbose(answer: TranscriptionAnswer, manner: Manner) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "translate" if manner.translated else "transcribe",
        "language": answer.language,
        "duration": _duration(answer),
        "text": answer.text,
    }
    if answer.words and manner.words:
        body["words"] = [{"word": each.text, "start": each.start, "end": each.end} for each in answer.words]
    body["segments"] = [
        {
            "id": at,
            "seek": 0,
            "start": each.start,
            "end": each.end,
            "text": each.text,
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": 0.0,
            "compression_ratio": 0.0,
            "no_speech_prob": 0.0,
        }
        for at, each in enumerate(answer.segments)
    ]
    return body


def _diarized(answer: TranscriptionAnswer) -> list[dict[str, Any]]:
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{at}",
            "start": each.start,
            "end": each.end,
            "text": each.text,
            "speaker": each.speaker or "A",
        }
        for at, each in enumerate(answer.segments)
    ]


def _duration(answer: TranscriptionAnswer) -> float:
    if answer.duration is not None:
        return answer.duration
    return answer.segments[-1].end if answer.segments else 0.0


def _events(answer: TranscriptionAnswer) -> bytes:
    done: dict[str, Any] = {"type": "transcript.text.done", "text": answer.text}
    if answer.usage is not None:
        done["usage"] = write_heard_usage(answer.usage)
    told = ({"type": "transcript.text.delta", "delta": answer.text}, done)
    return b"".join(b"data: %b\n\n" % orjson.dumps(each) for each in told)


def _srt(answer: TranscriptionAnswer) -> list[str]:
    return [
        f"{at}\n{_clock(each.start, ',')} --> {_clock(each.end, ',')}\n{each.text.strip()}\n\n"
        for at, each in enumerate(answer.segments, 1)
    ]


def _vtt(answer: TranscriptionAnswer) -> list[str]:
    return [
        f"{_clock(each.start, '.')} --> {_clock(each.end, '.')}\n{each.text.strip()}\n\n"
        for each in answer.segments
    ]


def _clock(seconds: float, point: str) -> str:
    thousandths = round(seconds * 1000)
    minutes, left = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{left // 1000:02}{point}{left % 1000:03}"
