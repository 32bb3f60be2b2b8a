from __future__ import annotations

import pytest
from tests.plugins.openai.conftest import MakeExchange

from llmproxy.canonical import (
    CountAnswer,
    ImageAnswer,
    ImageRequest,
    Inline,
    Losses,
    MediaRequest,
    ModerationAnswer,
    ModerationRequest,
    Picture,
    SpeechAnswer,
    SpeechRequest,
    TranscriptionAnswer,
    TranscriptionRequest,
)
from llmproxy.plugin import BadRequest, GatewayError
from llmproxy_openai.faces import OpenAIClient
from llmproxy_openai.media.forms import File, write_form

FORM, KIND = write_form(
    [("model", "m"), ("prompt", "p"), ("response_format", "text")],
    [("file", File("a.wav", "audio/wav", b"x")), ("image", File("a.png", "image/png", b"x"))],
)
HEADERS = {"Content-Type": KIND.decode()}
PICTURE = ImageAnswer(pictures=(Picture(source=Inline(media_type="image/png", data="AA")),))
CALLS = {
    "/v1/images/generations": (b'{"model":"m","prompt":"p","stream":true}', {}, ImageRequest, PICTURE),
    "/v1/images/edits": (FORM.replace(b"text\r", b"url\r"), HEADERS, ImageRequest, PICTURE),
    "/v1/audio/speech": (
        b'{"model":"m","input":"a","voice":"v"}',
        {},
        SpeechRequest,
        SpeechAnswer(audio=b"x", format="wav"),
    ),
    "/v1/audio/transcriptions": (FORM, HEADERS, TranscriptionRequest, TranscriptionAnswer(text="a")),
    "/openai/deployments/m/audio/translations": (
        FORM,
        HEADERS,
        TranscriptionRequest,
        TranscriptionAnswer(text="a"),
    ),
    "/v1/moderations": (b'{"model":"m","input":"a"}', {}, ModerationRequest, ModerationAnswer()),
}
TYPES = {
    "/v1/images/generations": "text/event-stream; charset=utf-8",
    "/v1/audio/speech": "audio/wav",
    "/v1/audio/transcriptions": "text/plain; charset=utf-8",
    "/openai/deployments/m/audio/translations": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("path", CALLS)
def test_each_call_is_read_and_answered_as_it_was_asked_for(exchange_for: MakeExchange, path: str) -> None:
    body, headers, kind, answer = CALLS[path]
    exchange = exchange_for(path, body, headers or None)
    client = OpenAIClient()
    request = client.decode_request(exchange, body, Losses())

    assert isinstance(request, MediaRequest)
    assert type(request) is kind
    assert request.model == "m"
    assert client.encode_answer(exchange, answer).headers.get("content-type") == TYPES.get(
        path, "application/json"
    )


def test_losses_have_the_caller_s_names(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m","input":"a","voice":"v"}'
    losses = Losses()
    OpenAIClient().decode_request(exchange_for("/v1/audio/speech", body), body, losses)
    losses.lose("format")

    assert "response_format" in losses


def test_what_is_broken_is_refused(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/images/generations", {"model": "m", "prompt": "p"})
    for body in (b"{", b"[]"):
        with pytest.raises(BadRequest):
            OpenAIClient().decode_request(exchange, body, Losses())


def test_another_answer_cannot_be_told(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/images/generations", {"model": "m", "prompt": "p"})
    with pytest.raises(GatewayError):
        OpenAIClient().encode_answer(exchange, CountAnswer(tokens=1))
