"""The provider's side of the calls for pictures, sound and judgements: requests out, answers in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from llmproxy.canonical import (
    GenerateRequest,
    ImageRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from llmproxy.canonical.talks import image_of_talk, speech_of_talk, talk_with_images, talk_with_sound
from llmproxy.plugin import StateKey, UpstreamRequest, carried_headers
from llmproxy_openai.media.images import encode_images, read_images
from llmproxy_openai.media.moderation import encode_moderation, read_moderation
from llmproxy_openai.media.speech import encode_speech, read_speech
from llmproxy_openai.media.transcription import encode_transcription, read_transcription

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, MediaRequest, ModelAnswer
    from llmproxy.plugin import Endpoint, Exchange, Quirks, Reply

_JSON: Final = b"application/json"
#: Which call was made, and whether for a conversation.
_MADE: Final = StateKey[tuple[str, bool]]("openai.media")


def encode_request(
    exchange: Exchange,
    endpoint: Endpoint,
    request: MediaRequest | GenerateRequest,
    losses: Losses,
    quirks: Quirks,
) -> UpstreamRequest:
    """Write a request, or a conversation whose answer is a picture or sound."""
    talked = isinstance(request, GenerateRequest)
    if isinstance(request, GenerateRequest):
        request = (image_of_talk if "image" in request.modalities else speech_of_talk)(request, losses)
    model, kind = endpoint.model or request.model, _JSON
    if isinstance(request, ImageRequest):
        call = "images"
        target, told = encode_images(request, model, losses, quirks)
        body = orjson.dumps(told)
    elif isinstance(request, SpeechRequest):
        call, target = "speech", "/audio/speech"
        body = orjson.dumps(encode_speech(request, model, losses))
    elif isinstance(request, TranscriptionRequest):
        call = "transcriptions"
        target, body, kind = encode_transcription(request, model, losses)
    else:
        call, target = "moderations", "/moderations"
        body = orjson.dumps(encode_moderation(request, model, losses))
    exchange.state[_MADE] = call, talked
    headers = carried_headers(exchange.request)
    headers.raw.append((b"Content-Type", kind))
    return UpstreamRequest("POST", target, headers, body)


def decode_answer(exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
    """Read the answer to such a call.

    Raises:
        ValueError: it is not of this dialect.
    """
    call, talked = exchange.state[_MADE]
    if call == "images":
        pictures = read_images(orjson.loads(body))
        return talk_with_images(pictures) if talked else pictures
    if call == "speech":
        sound = read_speech(reply, body)
        return talk_with_sound(sound) if talked else sound
    if call == "transcriptions":
        return read_transcription(reply, body)
    return read_moderation(orjson.loads(body))
