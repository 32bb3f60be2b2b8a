from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.canonical import Format, GenerateRequest, Losses
from llmproxy.plugin import BadField
from llmproxy_gemini.sampling import read_sampling, write_sampling

CONFIG = {
    "maxOutputTokens": 100,
    "temperature": 0.5,
    "topP": 0.9,
    "topK": 40,
    "candidateCount": 2,
    "stopSequences": ["a", "b"],
    "presencePenalty": 0.1,
    "frequencyPenalty": 0.2,
    "seed": 7,
    "responseLogprobs": True,
    "logprobs": 3,
    "responseMimeType": "application/json",
    "responseJsonSchema": {"type": "object"},
    "responseModalities": ["TEXT"],
    "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
}


def test_every_setting_comes_back() -> None:
    losses = Losses()

    request = GenerateRequest(model="m", **read_sampling(CONFIG, losses))

    written = write_sampling(request, "gemini-3-flash", losses)
    assert orjson.loads(orjson.dumps(written)) == CONFIG
    assert not losses


def test_zero_is_a_setting() -> None:
    request = GenerateRequest(model="m", temperature=0, top_p=0.0, seed=0)

    assert write_sampling(request, "m", Losses()) == {"temperature": 0, "topP": 0.0, "seed": 0}


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ({"responseMimeType": "application/json"}, Format(kind="json")),
        ({"response_schema": {"type": "STRING"}}, Format(kind="schema", schema={"type": "string"})),
        ({"responseMimeType": "text/plain"}, None),
        ({}, None),
    ],
)
def test_the_answers_form_is_read(told: dict[str, Any], form: Format | None) -> None:
    losses = Losses()

    assert read_sampling(told, losses)["format"] == form
    assert not losses


def test_what_others_cannot_be_asked_for_is_reported() -> None:
    losses = Losses()

    read_sampling(
        {
            "responseMimeType": "text/x.enum",
            "speech_config": {"languageCode": "de"},
            "mediaResolution": "LOW",
        },
        losses,
    )

    assert {loss.field for loss in losses} == {
        "generationConfig.responseMimeType",
        "generationConfig.speechConfig.languageCode",
        "generationConfig.mediaResolution",
    }


def test_a_schemas_name_is_lost_and_told() -> None:
    losses = Losses()
    form = Format(kind="schema", schema={}, name="n", description="d", strict=True)

    write_sampling(GenerateRequest(model="m", format=form), "m", losses)

    assert [loss.field for loss in losses] == ["format.name", "format.description", "format.strict"]


def test_alternatives_need_log_probabilities() -> None:
    assert write_sampling(GenerateRequest(model="m", top_logprobs=2), "m", Losses()) == {
        "logprobs": 2,
        "responseLogprobs": True,
    }
    assert write_sampling(GenerateRequest(model="m", logprobs=True, top_logprobs=0), "m", Losses()) == {
        "responseLogprobs": True
    }


@pytest.mark.parametrize(
    "told",
    [3, {"temperature": "x"}, {"topK": 1.5}, {"stopSequences": 3}, {"responseSchema": 3}, {"seed": []}],
)
def test_a_broken_config_is_refused(told: object) -> None:
    with pytest.raises(BadField, match="generationConfig"):
        read_sampling(told, Losses())


def test_a_picture_s_shape_and_a_voice_count_where_they_are_asked_for() -> None:
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}}
    shape = {"aspectRatio": "16:9", "imageSize": "2K"}
    told = {"imageConfig": shape, "speechConfig": voice}
    losses, lost = Losses(), Losses()
    read = read_sampling({**told, "responseModalities": ["IMAGE", "AUDIO"]}, losses)

    assert (read["aspect"], read["resolution"], read["voice"]) == ("16:9", "2K", "Puck")
    assert len(losses) == 0
    assert not {"aspect", "resolution", "voice"} & read_sampling(told, lost).keys()
    assert {loss.field for loss in lost} == {
        "generationConfig.imageConfig.aspectRatio",
        "generationConfig.imageConfig.imageSize",
        "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName",
    }
