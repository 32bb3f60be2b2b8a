"""Pictures and sound asked of models that talk, and what such models are asked, asked of those that do not.

Some providers have calls of their own for pictures, speech and transcription; with others the models that answer a
conversation draw, speak and listen. These functions put one into the other, so that a dialect needs one of the two.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical.answers import Answer, Choice
from llmproxy.canonical.blocks import Audio, Block, Image, Inline, Link, Text
from llmproxy.canonical.media import (
    ImageAnswer,
    ImageRequest,
    Picture,
    SpeechAnswer,
    SpeechRequest,
    Spoken,
    TranscriptionAnswer,
    TranscriptionRequest,
)
from llmproxy.canonical.requests import Format, GenerateRequest, Message
from llmproxy.errors import ProviderError, UpstreamError

if TYPE_CHECKING:
    from llmproxy.canonical.losses import Losses

_SIZE: Final = re.compile(r"(\d{2,5})x(\d{2,5})")
#: Shapes that models draw, by their ratio.
_SHAPES: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
#: From how many pixels of the longer side on a picture is of a resolution.
_RESOLUTIONS: Final = ((3000, "4K"), (1800, "2K"))
_USUAL: Final = "1024x1024"
#: Members of a request for pictures that nobody who talks can be told.
_UNTOLD: Final = ("quality", "background", "style", "moderation", "mask", "compression")

_WAV: Final = Struct("<4sI4s4sIHHIIHH4sI")
_RATE: Final = re.compile(r"rate=(\d{3,6})")
_RAW: Final = ("audio/l16", "audio/pcm", "audio/raw")


def talk_of_image(request: ImageRequest, losses: Losses) -> GenerateRequest:
    """Ask a model that talks for pictures."""
    for name in _UNTOLD:
        if getattr(request, name):
            losses.lose(name, "a model that talks is not told of it")
    if request.n is not None and request.n > 1:
        losses.lose("n", "one picture is made a call")
    if request.format not in ("", "png"):
        losses.lose("format", "the picture comes as the model makes it")
    aspect, resolution = shape_of(request, losses)
    prompt = request.prompt
    if request.negative:
        prompt = f"{prompt}\n\nLeave out: {request.negative}"
    return GenerateRequest(
        model=request.model,
        messages=(Message(role="user", content=(Text(text=prompt), *request.images)),),
        modalities=("image",),
        aspect=aspect,
        resolution=resolution,
        seed=request.seed,
        user=request.user,
    )


def shape_of(request: ImageRequest, losses: Losses, shapes: tuple[str, ...] = _SHAPES) -> tuple[str, str]:
    """Return the shape and the resolution that come nearest to a size in pixels, or those that were asked for."""
    if request.size in ("", "auto"):
        return request.aspect, request.resolution
    found = _SIZE.fullmatch(request.size)
    if found is None or not int(found[1]) or not int(found[2]):
        losses.lose("size", "it is not one of WIDTHxHEIGHT")
        return "", ""
    width, height = int(found[1]), int(found[2])
    ratio = width / height
    shape = min(shapes, key=lambda each: abs(_ratio(each) - ratio) / ratio)
    resolution = next((name for least, name in _RESOLUTIONS if max(width, height) >= least), "")
    if request.size != _USUAL:
        losses.lose("size", f"it is told as {shape}{f' at {resolution}' * bool(resolution)}")
    return shape, resolution


def _ratio(shape: str) -> float:
    width, _, height = shape.partition(":")
    return int(width) / int(height)


def images_in(answer: Answer) -> ImageAnswer:
    """Return the pictures of an answer.

    Raises:
        ProviderError: it has none.
    """
    pictures = tuple(
        Picture(source=block.source)
        for block in _blocks(answer)
        if isinstance(block, Image) and isinstance(block.source, Inline | Link)
    )
    if not pictures:
        raise _nothing(answer, "picture")
    return ImageAnswer(model=answer.model, created=answer.created, pictures=pictures, usage=answer.usage)


def image_of_talk(request: GenerateRequest, losses: Losses) -> ImageRequest:
    """Ask a model that only draws for what the last turn of a conversation wants."""
    turn = _last_turn(request, losses)
    told = [block.text for block in turn if isinstance(block, Text)]
    return ImageRequest(
        model=request.model,
        prompt="\n".join([*(text.text for text in request.system), *told]),
        images=tuple(block for block in turn if isinstance(block, Image)),
        n=request.n,
        aspect=request.aspect,
        resolution=request.resolution,
        seed=request.seed,
        user=request.user,
    )


def talk_with_images(answer: ImageAnswer) -> Answer:
    """Return pictures as the answer of a model that talks."""
    choice = Choice(content=tuple(Image(source=each.source) for each in answer.pictures), finish="stop")
    return Answer(model=answer.model, created=answer.created, choices=(choice,), usage=answer.usage)


def talk_of_speech(request: SpeechRequest, losses: Losses) -> GenerateRequest:
    """Ask a model that talks to speak a text."""
    if request.speed not in (None, 1):
        losses.lose("speed", "the model is not told how quickly to speak")
    if request.format not in ("wav", "pcm"):
        losses.lose(
            "format", f"the sound comes as WAV: {request.format or 'mp3, which is usual,'} is not made of it"
        )
    text = request.text
    if request.instructions:
        text = f"{request.instructions}\n\n#### TRANSCRIPT\n{text}"
    return GenerateRequest(
        model=request.model,
        messages=(Message(role="user", content=(Text(text=text),)),),
        modalities=("audio",),
        voice=request.voice,
        user=request.user,
    )


def sound_in(answer: Answer, wanted: str) -> SpeechAnswer:
    """Return the sound of an answer: raw samples if `wanted` is pcm, else WAV around them.

    Raises:
        ProviderError: it has none.
        ValueError: it cannot be read.
    """
    sources = [block.source for block in _blocks(answer) if isinstance(block, Audio)]
    pieces = [source for source in sources if isinstance(source, Inline)]
    if not pieces:
        raise _nothing(answer, "sound")
    try:
        data = b"".join(b64decode(piece.data, validate=True) for piece in pieces)
    except Base64Error as fault:
        raise ValueError("the sound is not base64") from fault
    kind = pieces[0].media_type.lower()
    found = _RATE.search(kind)
    rate = int(found[1]) if found else 24_000
    form = kind.partition(";")[0].removeprefix("audio/").removeprefix("x-")
    if kind.startswith(_RAW):
        form = "pcm" if wanted == "pcm" else "wav"
        data = data if wanted == "pcm" else wav_of(data, rate)
    form = {"mpeg": "mp3", "wave": "wav", "ogg": "opus"}.get(form, form)
    return SpeechAnswer(audio=data, format=form, rate=rate, model=answer.model, usage=answer.usage)


def wav_of(samples: bytes, rate: int) -> bytes:
    """Return samples of 16 bits and one channel as a WAV file."""
    size = len(samples)
    head = _WAV.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size)
    return head + samples


def speech_of_talk(request: GenerateRequest, losses: Losses) -> SpeechRequest:
    """Ask a model that only speaks to speak what the last turn of a conversation holds."""
    turn = _last_turn(request, losses)
    return SpeechRequest(
        model=request.model,
        text="\n".join(block.text for block in turn if isinstance(block, Text)),
        instructions="\n".join(text.text for text in request.system),
        voice=request.voice,
        format="pcm",
        user=request.user,
    )


def talk_with_sound(answer: SpeechAnswer) -> Answer:
    """Return sound as the answer of a model that talks."""
    kind = f"audio/L16;codec=pcm;rate={answer.rate}" if answer.format == "pcm" else f"audio/{answer.format}"
    block = Audio(source=Inline(media_type=kind, data=b64encode(answer.audio).decode()))
    return Answer(model=answer.model, choices=(Choice(content=(block,), finish="stop"),), usage=answer.usage)


#: What a model is asked for that shall tell when something was said, and the form of its answer.
_TIMED: Final = frozenset({"srt", "vtt", "verbose_json", "diarized_json"})
_SECONDS: Final[dict[str, Any]] = {"type": "number", "description": "seconds from the beginning"}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "language": {"type": "string", "description": "the language that is spoken, in English"},
        "segments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "start": _SECONDS,
                    "end": _SECONDS,
                    "speaker": {"type": "string"},
                    "text": {"type": "string"},
                },
                "required": ["start", "end", "text"],
            },
        },
    },
    "required": ["language", "segments"],
}


def talk_of_transcription(request: TranscriptionRequest, losses: Losses) -> GenerateRequest:
    """Ask a model that listens to write a recording down."""
    asked = ["Write down what is said in this recording, word for word, and nothing else."]
    if request.translate:
        asked = ["Write down in English what is said in this recording, and nothing else."]
    if request.language and not request.translate:
        asked.append(f"The language is: {request.language}.")
    if request.prompt:
        asked.append(f"This is what came before, or how names and words are spelled:\n{request.prompt}")
    timed = request.format in _TIMED
    if timed:
        asked.append("Give it in segments of a sentence or so, with their times.")
        losses.lose("format", "the times are the model's estimate")
    if request.format == "diarized_json":
        asked.append("Say of each segment who speaks: A, B and so on.")
    if "word" in request.timestamps:
        losses.lose("timestamps", "only segments have times, not words")
    return GenerateRequest(
        model=request.model,
        messages=(Message(role="user", content=(Text(text="\n".join(asked)), Audio(source=request.audio))),),
        temperature=request.temperature,
        format=Format(kind="schema", schema=_SCHEMA, name="transcript") if timed else None,
    )


def transcript_in(answer: Answer, wanted: str) -> TranscriptionAnswer:
    """Return what a model heard; `wanted` is the format that was asked for.

    Raises:
        ProviderError: it answered without any text, and not because nothing was said.
        ValueError: its segments cannot be read.
    """
    finish = answer.choices[0].finish if answer.choices else "error"
    if finish not in ("stop", "length", None):
        raise _nothing(answer, "text")
    text = "".join(block.text for block in _blocks(answer) if isinstance(block, Text)).strip()
    found = TranscriptionAnswer(text=text, model=answer.model, usage=answer.usage)
    if wanted not in _TIMED:
        return found
    try:
        told = orjson.loads(text)
        segments = tuple(_segment(each) for each in told["segments"])
        language = told.get("language")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
        raise ValueError("the model's segments cannot be read") from fault
    return msgspec.structs.replace(
        found,
        text=" ".join(each.text for each in segments),
        language=language.lower() if isinstance(language, str) else "",
        duration=segments[-1].end if segments else 0.0,
        segments=segments,
    )


def _segment(told: dict[str, Any]) -> Spoken:
    speaker = told.get("speaker")
    start, end = float(told["start"]), float(told["end"])
    name = speaker if isinstance(speaker, str) else ""
    return Spoken(
        start=max(0.0, start), end=max(start, end, 0.0), text=str(told["text"]).strip(), speaker=name
    )


def _blocks(answer: Answer) -> Iterator[Block]:
    for choice in answer.choices:
        yield from choice.content


def _last_turn(request: GenerateRequest, losses: Losses) -> tuple[Block, ...]:
    if len(request.messages) > 1:
        losses.lose("messages", "the model is told the last turn alone")
    if request.tools:
        losses.lose("tools", "the model calls no tools")
    return request.messages[-1].content if request.messages else ()


def _nothing(answer: Answer, what: str) -> ProviderError | UpstreamError:
    """Return why an answer without what was wanted is none: refused, or the provider's fault."""
    choice = answer.choices[0] if answer.choices else Choice(finish="error")
    if choice.finish in ("content_filter", "refusal"):
        why = (
            choice.explanation
            or f"The model made no {what}: it was held back ({choice.detail or 'refused'})."
        )
        return ProviderError(400, "content_policy_violation", why, kind="invalid_request")
    message = f"The model answered without any {what} ({choice.detail or choice.finish})."
    return UpstreamError("upstream_bad_answer", message, phase="body", sent=True)
