from __future__ import annotations

import pytest
from tests.plugins.gemini.conftest import made_exchange

from llmproxy.canonical import (
    Answer,
    Audio,
    Choice,
    GenerateRequest,
    Image,
    ImageAnswer,
    ImageRequest,
    Inline,
    Losses,
    ModerationRequest,
    SpeechAnswer,
    SpeechRequest,
    Text,
    TranscriptionAnswer,
    TranscriptionRequest,
)
from llmproxy_gemini.made import MADE, Made, answer_of, media_call

SOUND = Inline(media_type="audio/wav", data="UklGRgAAAABXQVZF")
DRAW = ImageRequest(model="m", prompt="p")
SPEAK = SpeechRequest(model="m", text="Hi", format="pcm")
HEAR = TranscriptionRequest(model="m", audio=SOUND, format="srt")


@pytest.mark.parametrize(
    ("request_", "model", "made"),
    [
        (DRAW, "gemini-2.5-flash-image", Made("picture")),
        (DRAW, "imagen-4", Made("predict")),
        (SPEAK, "gemini-2.5-flash-preview-tts", Made("sound", "pcm")),
        (HEAR, "gemini-2.5-flash", Made("text", "srt")),
    ],
)
def test_what_is_asked_for_is_remembered(
    request_: ImageRequest | SpeechRequest | TranscriptionRequest, model: str, made: Made
) -> None:
    exchange = made_exchange()
    asked = media_call(exchange, request_, model, Losses())

    assert exchange.state[MADE] == made
    assert isinstance(asked, GenerateRequest) is (made.kind != "predict")


def test_judgements_cannot_be_asked_for() -> None:
    asked = ModerationRequest(model="m", inputs=((Text(text="a"),),))

    assert media_call(made_exchange(), asked, "m", Losses()) is None


def test_an_answer_is_what_was_asked_for() -> None:
    blocks = (Image(source=Inline(media_type="image/png", data="AA")), Audio(source=SOUND), Text(text="Hi"))
    answer = Answer(choices=(Choice(content=blocks, finish="stop"),))

    assert answer_of(answer, None) is answer
    assert isinstance(answer_of(answer, Made("picture")), ImageAnswer)
    assert isinstance(answer_of(answer, Made("sound", "wav")), SpeechAnswer)
    assert isinstance(answer_of(answer, Made("text")), TranscriptionAnswer)
