from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.openai.conftest import MakeExchange

from llmproxy.canonical import (
    Answer,
    Audio,
    GenerateRequest,
    Image,
    ImageAnswer,
    ImageRequest,
    Inline,
    Losses,
    Message,
    ModerationAnswer,
    ModerationRequest,
    SpeechAnswer,
    SpeechRequest,
    Text,
    TranscriptionAnswer,
    TranscriptionRequest,
)
from llmproxy.plugin import Endpoint, Headers, Quirks, Reply
from llmproxy_openai.faces import OpenAIUpstream

TURN = Message(role="user", content=(Text(text="Hi"),))
SOUND = Inline(media_type="audio/wav", data="UklGRg==")
JSON = "application/json"
PICTURE = b'{"data":[{"b64_json":"iVBORw0KGgo="}]}'
CASES: list[tuple[Any, str, str, bytes, type]] = [
    (ImageRequest(model="m", prompt="p"), "/images/generations", JSON, PICTURE, ImageAnswer),
    (SpeechRequest(model="m", text="a"), "/audio/speech", "audio/mpeg", b"ID3", SpeechAnswer),
    (
        TranscriptionRequest(model="m", audio=SOUND),
        "/audio/transcriptions",
        JSON,
        b'{"text":"a"}',
        TranscriptionAnswer,
    ),
    (
        TranscriptionRequest(model="m", audio=SOUND, translate=True),
        "/audio/translations",
        "text/plain",
        b"a",
        TranscriptionAnswer,
    ),
    (
        ModerationRequest(model="m", inputs=((Text(text="a"),),)),
        "/moderations",
        JSON,
        b'{"results":[]}',
        ModerationAnswer,
    ),
    (
        GenerateRequest(model="m", messages=(TURN,), modalities=("text", "image")),
        "/images/generations",
        JSON,
        PICTURE,
        Answer,
    ),
    (
        GenerateRequest(model="m", messages=(TURN,), modalities=("audio",)),
        "/audio/speech",
        "audio/pcm",
        b"ab",
        Answer,
    ),
]


@pytest.mark.parametrize(("request_", "target", "kind", "body", "answer"), CASES)
def test_each_request_has_its_call_and_its_answer(
    exchange_for: MakeExchange, request_: Any, target: str, kind: str, body: bytes, answer: type
) -> None:
    exchange, face = exchange_for("/v1/messages", {}), OpenAIUpstream()
    wire = face.encode_request(exchange, Endpoint("o", "other"), request_, Losses())

    assert wire is not None
    assert wire.target == target
    assert b"other" in wire.body
    got = face.decode_answer(exchange, Reply(200, Headers.of({"Content-Type": kind})), body)
    assert type(got) is answer
    if isinstance(got, Answer):
        assert isinstance(got.choices[0].content[0], Image | Audio)


def test_the_next_attempt_may_be_another_call(exchange_for: MakeExchange) -> None:
    exchange, face = exchange_for("/v1/messages", {}), OpenAIUpstream()
    face.encode_request(exchange, Endpoint("o"), ImageRequest(model="m", prompt="p"), Losses())
    face.encode_request(exchange, Endpoint("o"), GenerateRequest(model="m", messages=(TURN,)), Losses())

    chat = face.decode_answer(exchange, Reply(200), b'{"choices":[{"message":{"content":"a"}}]}')
    assert isinstance(chat, Answer)


def test_who_draws_in_a_chat_is_asked_there(exchange_for: MakeExchange) -> None:
    quirks = Quirks(extras=("modalities",))
    drawing = GenerateRequest(model="m", messages=(TURN,), modalities=("text", "image"), aspect="16:9")
    wire = OpenAIUpstream(quirks).encode_request(
        exchange_for("/v1/messages", {}), Endpoint("o"), drawing, Losses()
    )

    assert wire is not None
    assert wire.target == "/chat/completions"
    assert orjson.loads(wire.body)["modalities"] == ["text", "image"]
    assert orjson.loads(wire.body)["image_config"] == {"aspect_ratio": "16:9"}


def test_sound_is_asked_for_as_the_caller_reads_it(exchange_for: MakeExchange) -> None:
    talk = GenerateRequest(model="m", messages=(TURN,), modalities=("audio",), voice="Puck")
    wire = OpenAIUpstream().encode_request(exchange_for("/v1/messages", {}), Endpoint("o"), talk, Losses())

    assert wire is not None
    assert orjson.loads(wire.body) == {"model": "m", "input": "Hi", "voice": "echo", "response_format": "pcm"}
