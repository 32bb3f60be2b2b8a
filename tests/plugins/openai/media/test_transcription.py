from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Inline, Link, Losses, Spoken, TranscriptionAnswer, TranscriptionRequest
from llmproxy.plugin import BadField, Headers, Parts, Reply, Usage
from llmproxy_openai.media.forms import File, Sent, read_form
from llmproxy_openai.media.transcription import (
    FORMATS,
    Manner,
    decode_transcription,
    encode_transcription,
    read_transcription,
    write_transcription,
)

SOUND = st.binary(min_size=1).map(
    lambda data: Inline(media_type="audio/mpeg", data=b64encode(b"ID3" + data).decode())
)
REQUESTS = st.builds(
    TranscriptionRequest,
    model=st.just("m"),
    audio=SOUND | st.just(Link(url="https://e.com/a.mp3")),
    filename=st.just(""),
    language=st.sampled_from(["", "en"]),
    prompt=st.sampled_from(["", "Ä names"]),
    format=st.sampled_from(["", *FORMATS]),
    temperature=st.none() | st.sampled_from([0, 0.2, 1]),
    timestamps=st.sampled_from([(), ("word",), ("word", "segment")]),
)
SAID = TranscriptionAnswer(
    text="Hello. Good bye.",
    language="english",
    duration=2.5,
    segments=(Spoken(0.0, 1.25, "Hello.", "A"), Spoken(1.25, 2.5, "Good bye.", "B")),
    words=(Spoken(0.0, 0.5, "Hello"),),
)


@given(REQUESTS)
def test_a_request_comes_back_as_it_went(request: TranscriptionRequest) -> None:
    losses = Losses()
    path, body, kind = encode_transcription(request, "m", losses)
    again = decode_transcription(read_form(body, kind), losses, translate=path.endswith("translations"))

    assert again in (request, TranscriptionRequest(**{**_told(request), "filename": "audio"}))
    assert len(losses) == 0


def _told(request: TranscriptionRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def body_of(reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes)
    return reply.body


@pytest.mark.parametrize("form", ["json", "verbose_json", "diarized_json"])
def test_an_answer_comes_back_as_far_as_its_format_goes(form: str) -> None:
    reply = write_transcription(SAID, Manner(form, words=True))
    again = read_transcription(reply, body_of(reply))

    assert again.text == SAID.text
    if form != "json":
        assert [(each.start, each.end, each.text) for each in again.segments] == [
            (each.start, each.end, each.text) for each in SAID.segments
        ]
        assert again.duration == SAID.duration


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "Hello. Good bye.\n"),
        (
            "srt",
            "1\n00:00:00,000 --> 00:00:01,250\nHello.\n\n2\n00:00:01,250 --> 00:00:02,500\nGood bye.\n\n",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nHello.\n\n00:00:01.250 --> 00:00:02.500\nGood bye.\n\n",
        ),
    ],
)
def test_texts_are_written_plainly(form: str, text: str) -> None:
    reply = write_transcription(SAID, Manner(form))

    assert body_of(reply).decode() == text
    assert reply.headers.get("content-type") == "text/plain; charset=utf-8"
    assert read_transcription(reply, body_of(reply)).text == text


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_clocks_never_run_over(start: float, end: float) -> None:
    reply = write_transcription(
        TranscriptionAnswer(text="", segments=(Spoken(start, end, "x"),)), Manner("vtt")
    )
    clock = body_of(reply).decode().split("\n")[2].split(" --> ")[0]
    hours, minutes, seconds = clock.split(":")

    assert int(minutes) < 60
    assert abs(int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start) < 0.001


def test_events_end_with_the_whole_text_and_what_it_used() -> None:
    usage = Usage(14, 0, 0, 45, parts=Parts(input_audio=14))
    answer = TranscriptionAnswer(text="Hello.", usage=usage)
    told = [
        orjson.loads(event.removeprefix(b"data: "))
        for event in body_of(write_transcription(answer, Manner(streamed=True))).split(b"\n\n")
        if event
    ]

    assert told[0] == {"type": "transcript.text.delta", "delta": "Hello."}
    assert told[1]["text"] == "Hello."
    assert told[1]["usage"]["input_token_details"] == {"text_tokens": 0, "audio_tokens": 14}


def test_what_was_heard_is_told_in_seconds_where_there_are_no_tokens() -> None:
    reply = write_transcription(TranscriptionAnswer(text="", usage=Usage(units=2500)), Manner())

    assert orjson.loads(body_of(reply))["usage"] == {"type": "duration", "seconds": 2.5}
    assert read_transcription(reply, body_of(reply)).usage == Usage(units=2500)


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"timestamp_granularities": ["letter"]}, "timestamp_granularities"),
        ({"temperature": "warm"}, "temperature"),
    ],
)
def test_what_is_broken_is_refused(told: dict[str, Any], param: str) -> None:
    file = {"file": [File("a", "audio/wav", b"x")]}
    with pytest.raises(BadField) as caught:
        decode_transcription(Sent({"model": "m", **told}, file), Losses(), translate=False)

    assert caught.value.param == param


def test_there_must_be_a_recording() -> None:
    with pytest.raises(BadField, match="'file'"):
        decode_transcription(Sent({"model": "m", "file": "text"}, {}), Losses(), translate=False)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"text":7}', b"{"])
def test_what_holds_no_text_is_a_fault(body: bytes) -> None:
    reply = Reply(200, Headers.of({"Content-Type": "application/json"}))
    with pytest.raises(ValueError, match=r"."):
        read_transcription(reply, body)
