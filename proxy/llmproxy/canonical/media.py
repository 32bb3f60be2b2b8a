"""What is asked of models that make or read pictures and sound, and what they answer."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final

import msgspec

from llmproxy.canonical.blocks import Image, Inline, Link, Piece, Text
from llmproxy.exchange import Usage
from llmproxy.magic import LOOKED_AT, media_type_of

#: Characters of base64 that hold the bytes which tell what a file is.
_START: Final = -(-LOOKED_AT // 3) * 4


def inline_of(data: str, media_type: str = "") -> Inline:
    """Return base64 text as bytes in a request or an answer; their type is seen, or else as given."""
    try:
        seen = media_type_of(b64decode(data[:_START]))
    except (Base64Error, ValueError):
        seen = ""
    return Inline(media_type=seen or media_type or "application/octet-stream", data=data)


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Pictures to be made from a text, or from a text and the pictures in `images`, where `mask` says what may change.

    `size` is WIDTHxHEIGHT in pixels or "auto", `aspect` such as 16:9, `resolution` such as 2K: a dialect has the first
    or the other two. `links` says whether pictures are wanted as links (None: as the provider likes). What is left at
    its default was not said.
    """

    model: str
    prompt: str
    images: tuple[Image, ...] = ()
    mask: Image | None = None
    n: int | None = None
    size: str = ""
    aspect: str = ""
    resolution: str = ""
    quality: str = ""
    background: str = ""
    style: str = ""
    moderation: str = ""
    #: png, jpeg or webp; `compression` 0 to 100 is how much of the quality of the last two is kept.
    format: str = ""
    compression: int | None = None
    negative: str = ""
    seed: int | None = None
    links: bool | None = None
    streamed: bool = False
    user: str = ""


class Picture(Piece, frozen=True):
    """A picture that was made; `prompt` is what the model made of the prompt, where it says so."""

    source: Inline | Link
    prompt: str = ""


class ImageAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Pictures that were made. `created` is seconds since 1970, 0 where the provider does not say."""

    model: str = ""
    created: int = 0
    pictures: tuple[Picture, ...] = ()
    usage: Usage | None = None


class SpeechRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text to be spoken. `format` is mp3, opus, aac, flac, wav or pcm, as the caller wants it.

    `pcm` is 16 bits a sample, little-endian, one channel, 24,000 samples a second unless the answer says otherwise.
    `events` says whether the sound is wanted in events.
    """

    model: str
    text: str
    voice: str = ""
    instructions: str = ""
    format: str = ""
    speed: float | None = None
    language: str = ""
    events: bool = False
    user: str = ""


class SpeechAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text, spoken; `format` as in the request, `rate` is samples a second of `pcm`."""

    audio: bytes
    format: str
    rate: int = 24_000
    model: str = ""
    usage: Usage | None = None


class TranscriptionRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recording to be written down, or with `translate` in English whatever was spoken.

    `format` is json, text, srt, vtt, verbose_json or diarized_json; `timestamps` are word, segment.
    """

    model: str
    audio: Inline | Link
    filename: str = ""
    translate: bool = False
    language: str = ""
    prompt: str = ""
    format: str = ""
    temperature: float | None = None
    timestamps: tuple[str, ...] = ()
    streamed: bool = False


class Spoken(Piece, frozen=True):
    """A piece of a recording: from when to when (seconds), what was said and by whom."""

    start: float
    end: float
    text: str
    speaker: str = ""


class TranscriptionAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a recording says; `duration` is its seconds."""

    text: str
    language: str = ""
    duration: float | None = None
    segments: tuple[Spoken, ...] = ()
    words: tuple[Spoken, ...] = ()
    model: str = ""
    usage: Usage | None = None


class ModerationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Texts and pictures to be judged; each input is judged as a whole."""

    model: str
    inputs: tuple[tuple[Text | Image, ...], ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found in one input: of each category whether it is there, and how sure that is (0 to 1)."""

    flagged: bool
    categories: dict[str, bool]
    scores: dict[str, float]


class ModerationAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A verdict for each input, in order."""

    id: str = ""
    model: str = ""
    verdicts: tuple[Verdict, ...] = ()
    usage: Usage | None = None


MediaRequest = ImageRequest | SpeechRequest | TranscriptionRequest | ModerationRequest
MediaAnswer = ImageAnswer | SpeechAnswer | TranscriptionAnswer | ModerationAnswer
