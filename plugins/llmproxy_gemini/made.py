"""What of a caller's request for pictures or sound was asked for in a conversation's words, or by `predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.plugin import Exchange, StateKey

if TYPE_CHECKING:
    from llmproxy.canonical import Answer, GenerateRequest, Losses, MediaRequest, ModelAnswer


class Made(NamedTuple):
    """What was made of a request: picture, sound, text or predict; `wanted` is the format that the caller wants."""

    kind: str
    wanted: str = ""


MADE: Final = StateKey[Made]("gemini.made")


def media_call(
    exchange: Exchange, request: MediaRequest, model: str, losses: Losses
) -> GenerateRequest | MediaRequest | None:
    """Return a conversation that asks for the same, the request where `predict` does, None where nothing does."""
    from llmproxy.canonical import (  # noqa: PLC0415  # few gateways ask for pictures
        ImageRequest,
        SpeechRequest,
        TranscriptionRequest,
        talks,
    )
    from llmproxy_gemini.pictures import predicts  # noqa: PLC0415  # likewise

    if isinstance(request, ImageRequest):
        exchange.state[MADE] = Made("predict" if predicts(model) else "picture")
        return request if predicts(model) else talks.talk_of_image(request, losses)
    if isinstance(request, SpeechRequest):
        exchange.state[MADE] = Made("sound", request.format)
        return talks.talk_of_speech(request, losses)
    if isinstance(request, TranscriptionRequest):
        exchange.state[MADE] = Made("text", request.format)
        return talks.talk_of_transcription(request, losses)
    return None


def answer_of(answer: Answer, made: Made | None) -> ModelAnswer:
    """Return the answer that was asked for.

    Raises:
        GatewayError: the model answered without it.
        ValueError: it cannot be read.
    """
    if made is None:
        return answer
    from llmproxy.canonical import talks  # noqa: PLC0415  # likewise

    if made.kind == "picture":
        return talks.images_in(answer)
    return (
        talks.sound_in(answer, made.wanted)
        if made.kind == "sound"
        else talks.transcript_in(answer, made.wanted)
    )
