from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Losses, SpeechAnswer, SpeechRequest
from llmproxy.plugin import BadField, Headers, Reply, Usage
from llmproxy_openai.media.speech import (
    TYPES,
    Manner,
    decode_speech,
    encode_speech,
    read_speech,
    write_speech,
)


@given(
    st.text(min_size=1),
    st.sampled_from(["alloy", "x"]),
    st.sampled_from(["", "calm"]),
    st.sampled_from(["", *TYPES]),
    st.none() | st.floats(0.25, 4),
)
def test_a_request_comes_back_as_it_went(
    text: str, voice: str, instructions: str, form: str, speed: float | None
) -> None:
    request = SpeechRequest(
        model="m", text=text, voice=voice, instructions=instructions, format=form, speed=speed
    )
    losses = Losses()
    body = orjson.loads(orjson.dumps(encode_speech(request, "m", losses)))

    assert decode_speech(body, losses) == request
    assert len(losses) == 0


@given(st.binary(), st.sampled_from(list(TYPES)), st.sampled_from([24_000, 16_000]))
def test_sound_comes_back_as_it_went(audio: bytes, form: str, rate: int) -> None:
    answer = SpeechAnswer(audio=audio, format=form, rate=rate if form == "pcm" else 24_000)
    reply = write_speech(answer, Manner(form))

    assert read_speech(reply, audio) == answer


def test_events_hold_the_sound_and_what_it_used() -> None:
    reply = write_speech(
        SpeechAnswer(audio=b"abc", format="wav", usage=Usage(3, 0, 0, 9)), Manner("wav", True)
    )
    told = [orjson.loads(event.split(b"data: ")[1]) for event in bytes(reply.body).split(b"\n\n") if event]  # type: ignore[arg-type]

    assert reply.is_event_stream
    assert told[0] == {"type": "speech.audio.delta", "audio": "YWJj"}
    assert told[1]["usage"]["output_tokens"] == 9


def test_mistrals_json_holds_sound() -> None:
    reply = Reply(200, Headers.of({"Content-Type": "application/json"}))

    assert read_speech(reply, b'{"audio_data":"YWJj"}').audio == b"abc"
    for broken in (b"{}", b'{"audio_data":"?"}', b'{"audio_data":null}'):
        with pytest.raises(ValueError, match="sound"):
            read_speech(reply, broken)


def test_what_is_no_sound_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no sound"):
        read_speech(Reply(200, Headers.of({"Content-Type": "text/html"})), b"<p>")


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({}, "input"),
        ({"input": "a", "response_format": "ogg"}, "response_format"),
        ({"input": "a", "voice": 7}, "voice"),
        ({"input": "a", "speed": "fast"}, "speed"),
    ],
)
def test_what_is_broken_is_refused(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadField) as caught:
        decode_speech({"model": "m", **told}, Losses())

    assert caught.value.param == param


def test_a_voice_may_be_an_id_and_a_stream_asked_for_by_both_names() -> None:
    told = {"model": "m", "input": "a", "voice": {"id": "v"}, "stream_format": "sse"}

    assert decode_speech(told, Losses()).voice == "v"
    assert decode_speech(told, Losses()).events
    assert decode_speech({"model": "m", "input": "a", "voice_id": "w", "stream": True}, Losses()).events
