"""The caller's side of the calls for pictures, sound and judgements: requests in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    ImageAnswer,
    ModerationAnswer,
    SpeechAnswer,
    TranscriptionAnswer,
)
from llmproxy.plugin import Headers, Reply, StateKey, no_translation
from llmproxy_openai.media import images, speech, transcription
from llmproxy_openai.media.forms import read_sent
from llmproxy_openai.media.moderation import decode_moderation, write_moderation

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, MediaRequest, ModelAnswer
    from llmproxy.plugin import Exchange
    from llmproxy_openai.calls import MediaCall

#: What callers of these calls name what canonical fields hold.
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "images": {
        "format": "output_format",
        "compression": "output_compression",
        "images": "image",
        "content.image": "image",
        "links": "response_format",
        "aspect": "size",
        "resolution": "size",
        "negative": "prompt",
    },
    "speech": {"format": "response_format", "text": "input", "events": "stream_format"},
    "transcriptions": {
        "format": "response_format",
        "timestamps": "timestamp_granularities",
        "content.audio": "file",
    },
    "moderations": {"inputs": "input", "content.image": "input"},
}
_IMAGES: Final = StateKey[images.Manner]("openai.images")
_SPEECH: Final = StateKey[speech.Manner]("openai.speech")
_HEARD: Final = StateKey[transcription.Manner]("openai.transcription")


def decode_request(exchange: Exchange, call: MediaCall, body: bytes, losses: Losses) -> MediaRequest:
    """Read a request; report what the canonical form cannot hold."""
    kind = {"edits": "images", "translations": "transcriptions"}.get(call, call)
    losses.names = {**losses.names, **_NAMES[kind]}
    sent = read_sent(exchange, body)
    if kind == "images":
        asked = images.decode_images(sent, losses)
        exchange.state[_IMAGES] = images.Manner(
            asked.links is True, asked.streamed, call == "edits", asked.size, asked.quality, asked.background
        )
        return asked
    if kind == "speech":
        spoken = speech.decode_speech(sent.members, losses)
        exchange.state[_SPEECH] = speech.Manner(
            spoken.format or "mp3", spoken.events, "voice" not in sent.members
        )
        return spoken
    if kind == "transcriptions":
        heard = transcription.decode_transcription(sent, losses, translate=call == "translations")
        exchange.state[_HEARD] = transcription.Manner(
            heard.format or "json", heard.streamed, heard.translate, "word" in heard.timestamps
        )
        return heard
    return decode_moderation(sent.members, losses)


def encode_answer(exchange: Exchange, answer: ModelAnswer) -> Reply:
    """Shape an answer as it was asked for."""
    if isinstance(answer, ImageAnswer):
        return _pictures(answer, exchange.state.get(_IMAGES) or images.Manner())
    if isinstance(answer, SpeechAnswer):
        return speech.write_speech(answer, exchange.state.get(_SPEECH) or speech.Manner())
    if isinstance(answer, TranscriptionAnswer):
        return transcription.write_transcription(answer, exchange.state.get(_HEARD) or transcription.Manner())
    if isinstance(answer, ModerationAnswer):
        told: dict[str, Any] = write_moderation(answer, exchange.model or "", f"modr-{exchange.id}")
        return Reply.json(told)
    raise no_translation()


def _pictures(answer: ImageAnswer, manner: images.Manner) -> Reply:
    now = int(datetime.now(UTC).timestamp())
    if manner.streamed:
        events = images.write_image_events(answer, manner, now)
        return Reply(200, Headers.of({"Content-Type": "text/event-stream; charset=utf-8"}), events)
    return Reply.json(images.write_images(answer, manner, now))
