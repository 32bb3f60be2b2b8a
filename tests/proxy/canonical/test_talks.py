from __future__ import annotations

import wave
from base64 import b64encode
from io import BytesIO

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Message,
    Picture,
    SpeechAnswer,
    SpeechRequest,
    Text,
    Tool,
    TranscriptionRequest,
)
from llmproxy.canonical.talks import (
    image_of_talk,
    images_in,
    shape_of,
    sound_in,
    speech_of_talk,
    talk_of_image,
    talk_of_speech,
    talk_of_transcription,
    talk_with_images,
    talk_with_sound,
    transcript_in,
    wav_of,
)
from llmproxy.errors import ProviderError, UpstreamError
from llmproxy.usage import Usage

PNG = Inline(media_type="image/png", data="iVBORw0KGgoAAAA=")
SOUND = Inline(media_type="audio/wav", data="UklGRgAAAABXQVZF")


def answered(*blocks: Image | Audio | Text, finish: str = "stop", detail: str = "") -> Answer:
    choice = Choice(content=blocks, finish=finish, detail=detail)  # type: ignore[arg-type]
    return Answer(model="m", choices=(choice,), usage=Usage(3, 0, 0, 4))


@given(st.text(min_size=1), st.lists(st.just(Image(source=PNG)), max_size=2), st.sampled_from(["", "16:9"]))
def test_what_is_asked_for_comes_back_through_a_talk(prompt: str, images: list[Image], aspect: str) -> None:
    request = ImageRequest(
        model="m", prompt=prompt, images=tuple(images), aspect=aspect, resolution="2K" * bool(aspect)
    )
    losses = Losses()

    assert image_of_talk(talk_of_image(request, losses), losses) == request
    assert len(losses) == 0


@pytest.mark.parametrize(
    ("size", "shape", "lossy"),
    [
        ("", ("", ""), False),
        ("auto", ("", ""), False),
        ("1024x1024", ("1:1", ""), False),
        ("1536x1024", ("3:2", ""), True),
        ("1024x1792", ("9:16", ""), True),
        ("3840x2160", ("16:9", "4K"), True),
        ("2048x2048", ("1:1", "2K"), True),
        ("large", ("", ""), True),
        ("0000x0000", ("", ""), True),
    ],
)
def test_a_size_in_pixels_is_told_as_the_nearest_shape(
    size: str, shape: tuple[str, str], lossy: bool
) -> None:
    losses = Losses()

    assert shape_of(ImageRequest(model="m", prompt="p", size=size), losses) == shape
    assert ("size" in losses) is lossy


def test_what_a_model_that_talks_is_not_told_is_lost() -> None:
    losses = Losses()
    talk_of_image(
        ImageRequest(
            model="m", prompt="p", n=3, quality="high", background="transparent", format="webp", compression=5
        ),
        losses,
    )

    assert {loss.field for loss in losses} == {"n", "quality", "background", "format", "compression"}


def test_pictures_go_through_an_answer() -> None:
    answer = ImageAnswer(model="m", created=5, pictures=(Picture(source=PNG),), usage=Usage(1))

    assert images_in(talk_with_images(answer)) == answer


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        (answered(finish="content_filter", detail="IMAGE_SAFETY"), ProviderError, 400),
        (answered(Text(text="I cannot.")), UpstreamError, 502),
        (Answer(), UpstreamError, 502),
    ],
)
def test_an_answer_without_what_was_wanted_is_an_error(
    answer: Answer, kind: type[Exception], status: int
) -> None:
    for read in (images_in, lambda found: sound_in(found, "wav")):
        with pytest.raises(kind) as caught:
            read(answer)
        assert getattr(caught.value, "status", 0) == status


@given(st.binary(max_size=40).filter(lambda data: len(data) % 2 == 0), st.sampled_from([24_000, 16_000]))
def test_samples_become_wav_unless_they_are_wanted_as_they_are(samples: bytes, rate: int) -> None:
    kind = f"audio/L16;codec=pcm;rate={rate}"
    answer = answered(Audio(source=Inline(media_type=kind, data=b64encode(samples).decode())))
    raw, file = sound_in(answer, "pcm"), sound_in(answer, "")

    assert (raw.audio, raw.format, raw.rate) == (samples, "pcm", rate)
    with wave.open(BytesIO(file.audio)) as heard:
        assert heard.getframerate() == rate
        assert (heard.getnchannels(), heard.getsampwidth()) == (1, 2)
        assert heard.readframes(1000) == samples
    assert file.audio == wav_of(samples, rate)


def test_sound_that_has_a_form_keeps_it() -> None:
    answer = answered(Audio(source=Inline(media_type="audio/mpeg", data="SUQz")))

    assert sound_in(answer, "wav").format == "mp3"
    with pytest.raises(ValueError, match="base64"):
        sound_in(answered(Audio(source=Inline(media_type="audio/wav", data="?"))), "wav")


def test_a_text_is_spoken_and_how_stands_before_it() -> None:
    losses = Losses()
    talk = talk_of_speech(
        SpeechRequest(model="m", text="Hello", instructions="Calmly", voice="Kore", speed=2, format="opus"),
        losses,
    )

    assert talk.messages[0].content == (Text(text="Calmly\n\n#### TRANSCRIPT\nHello"),)
    assert (talk.modalities, talk.voice) == (("audio",), "Kore")
    assert {loss.field for loss in losses} == {"speed", "format"}


@pytest.mark.parametrize("form", ["wav", "pcm"])
def test_what_can_be_made_is_no_loss(form: str) -> None:
    losses = Losses()
    talk_of_speech(SpeechRequest(model="m", text="Hello", format=form), losses)

    assert len(losses) == 0


def test_a_talk_is_spoken_and_answers_as_a_talk_does() -> None:
    losses = Losses()
    turn = Message(role="user", content=(Text(text="Hello"),))
    asked = speech_of_talk(GenerateRequest(model="m", messages=(turn,), voice="Puck"), losses)
    answer = talk_with_sound(SpeechAnswer(audio=b"ab", format="pcm", rate=16_000))

    assert (asked.text, asked.voice, asked.format) == ("Hello", "Puck", "pcm")
    assert sound_in(answer, "pcm").rate == 16_000
    assert len(losses) == 0


def test_only_the_last_turn_is_told_to_who_does_not_talk() -> None:
    losses = Losses()
    turns = (Message(role="user", content=(Text(text="a"),)), Message(role="user", content=(Text(text="b"),)))
    asked = image_of_talk(GenerateRequest(model="m", messages=turns, tools=(Tool(name="t"),)), losses)

    assert asked.prompt == "b"
    assert {loss.field for loss in losses} == {"messages", "tools"}
    assert image_of_talk(GenerateRequest(model="m"), losses).prompt == ""


@pytest.mark.parametrize("form", ["", "json", "text"])
def test_what_was_said_is_asked_for_as_text(form: str) -> None:
    losses = Losses()
    talk = talk_of_transcription(TranscriptionRequest(model="m", audio=SOUND, format=form), losses)

    assert talk.format is None
    assert Audio(source=SOUND) in talk.messages[0].content
    assert transcript_in(answered(Text(text=" Hello. \n")), form).text == "Hello."
    assert len(losses) == 0


@pytest.mark.parametrize("form", ["srt", "vtt", "verbose_json", "diarized_json"])
def test_times_are_asked_for_by_a_schema(form: str) -> None:
    losses = Losses()
    request = TranscriptionRequest(
        model="m", audio=SOUND, format=form, timestamps=("word",), language="de", prompt="names"
    )
    talk = talk_of_transcription(request, losses)
    told = {
        "language": "German",
        "segments": [{"start": 0, "end": 1.5, "text": "Hallo. "}, {"start": 1.5, "end": 1, "text": "Ja."}],
    }
    heard = transcript_in(answered(Text(text=orjson.dumps(told).decode())), form)

    assert talk.format is not None
    assert {loss.field for loss in losses} == {"format", "timestamps"}
    assert (heard.text, heard.language, heard.duration) == ("Hallo. Ja.", "german", 1.5)
    assert heard.segments[1].end == 1.5


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"segments":[7]}', '{"segments":[{"start":"x"}]}', "7"])
def test_segments_that_cannot_be_read_are_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        transcript_in(answered(Text(text=text)), "srt")


def test_silence_is_no_error_and_a_refusal_is() -> None:
    assert transcript_in(answered(), "json").text == ""
    with pytest.raises(ProviderError):
        transcript_in(answered(finish="refusal"), "json")
