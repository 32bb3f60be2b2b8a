"""The SDKs of OpenAI, Google, Groq and Mistral ask for pictures, sound and judgements, of providers of each dialect."""

from __future__ import annotations

import wave
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import groq
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types
from mistralai.client import Mistral

from llmproxy.testing import RunningGateway, running_gateway
from llmproxy_ledger.auditing import Audit
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.reporting import Period

from .media_provider import DATA, MP3, PNG, SAID, SAMPLES, MediaProvider

#: All share one gateway, and so one loop.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

KEY = "key-of-the-caller"
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\xc0\x5d\0\0\x80\xbb\0\0\2\0\x10\0data\0\0\0\0"
CLOUD = "publishers/google/models"


@dataclass
class Studio:
    """The provider, the gateway before it, and where SDKs find it."""

    provider: MediaProvider
    gateway: RunningGateway

    @property
    def asked(self) -> dict[str, Any]:
        """The last request, as the provider understood it."""
        return self.provider.asked[-1][1]

    @property
    def path(self) -> str:
        """Where it came."""
        return self.provider.asked[-1][0]


def config(url: str) -> dict[str, Any]:
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": {
            "openai": {"base_url": f"{url}/v1"},
            "xai": {"base_url": f"{url}/xai/v1", "quirks": {"images": "url", "refused": ["size"]}},
            "mistral": {"base_url": f"{url}/mistral/v1"},
            "gemini": {"base_url": f"{url}/v1beta", "dialect": "gemini"},
            "anthropic": {"base_url": f"{url}/anthropic", "dialect": "anthropic"},
        },
        "plugins": {"access": {"mode": "open"}},
        "pipeline": ["access"],
        "routes": [{"name": "models", "max_body": "1MB"}],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio() -> AsyncIterator[Studio]:
    async with MediaProvider() as provider, running_gateway(config(provider.url)) as gateway:
        yield Studio(provider, gateway)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(studio: Studio) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{studio.gateway.url}/v1", max_retries=0) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def google(studio: Studio) -> AsyncIterator[genai.client.AsyncClient]:
    options = types.HttpOptions(base_url=studio.gateway.url, api_version="v1beta")
    async with genai.Client(api_key=KEY, http_options=options).aio as found:
        yield found


def losses(reply: Any) -> set[str]:
    told = reply.headers.get("x-llmproxy-losses", "")
    return {each.strip() for each in told.split(",")} - {""}


# --- pictures, by OpenAI's SDK


@pytest.mark.parametrize(
    ("model", "lost"),
    [
        ("openai/gpt-image-2", set()),
        ("gemini/gemini-2.5-flash-image", {"quality"}),
        ("gemini/imagen-4.0-generate-001", {"quality"}),
    ],
)
async def test_a_picture_is_made(client: Any, model: str, lost: set[str]) -> None:
    reply = await client.images.with_raw_response.generate(
        model=model, prompt="A red pixel", size="1024x1024", quality="high"
    )
    got = reply.parse()

    assert b64decode(got.data[0].b64_json) == PNG
    assert got.created > 0
    assert losses(reply) == lost


async def test_a_picture_s_tokens_are_told(client: Any) -> None:
    drawn = await client.images.generate(model="gemini/gemini-2.5-flash-image", prompt="A red pixel")

    assert (drawn.usage.input_tokens, drawn.usage.output_tokens, drawn.usage.total_tokens) == (8, 1290, 1298)
    assert drawn.usage.output_tokens_details.image_tokens == 1290


async def test_several_pictures_are_made_where_a_provider_makes_several(studio: Studio, client: Any) -> None:
    got = await client.images.generate(
        model="gemini/imagen-4.0-generate-001", prompt="p", n=3, size="1536x1024"
    )

    assert len(got.data) == 3
    assert studio.asked["parameters"] == {"sampleCount": 3, "aspectRatio": "4:3"}


MODELS = ["openai/gpt-image-2", "xai/grok-imagine-image", "gemini/gemini-2.5-flash-image"]


@pytest.mark.parametrize("model", MODELS)
async def test_pictures_are_edited(studio: Studio, client: Any, model: str) -> None:
    files = [("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    got = await client.images.edit(model=model, prompt="Make it green", image=files)

    assert b64decode(got.data[0].b64_json) == PNG
    if "gemini" in model:
        parts = studio.asked["contents"][0]["parts"]
        assert parts[0] == {"text": "Make it green"}
        assert parts[1:] == [{"inlineData": {"mimeType": "image/png", "data": DATA}}] * 2


@pytest.mark.parametrize("model", ["openai/gpt-image-2", "gemini/gemini-2.5-flash-image"])
async def test_a_picture_comes_in_events(client: Any, model: str) -> None:
    stream = await client.images.generate(model=model, prompt="A red pixel", stream=True)
    events = [event async for event in stream]

    assert events[-1].type == "image_generation.completed"
    assert b64decode(events[-1].b64_json) == PNG
    assert events[-1].usage.model_extra["output_tokens_details"]["image_tokens"] > 1000


async def test_a_link_that_is_wanted_is_one(client: Any) -> None:
    got = await client.images.generate(
        model="gemini/gemini-2.5-flash-image", prompt="p", response_format="url"
    )
    native = await client.images.generate(model="xai/grok-imagine-image", prompt="p")

    assert got.data[0].url == f"data:image/png;base64,{DATA}"
    assert native.data[0].url == "https://imgen.x.ai/a.jpeg"


async def test_a_picture_that_is_held_back_is_an_error_of_the_caller(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(model="gemini/gemini-2.5-flash-image", prompt="forbidden")

    assert caught.value.code == "content_policy_violation"


@pytest.mark.parametrize("call", ["draw", "speak", "hear", "judge"])
async def test_a_provider_that_has_no_such_call_says_so(client: Any, call: str) -> None:
    model = "anthropic/claude"
    asked = {
        "draw": lambda: client.images.generate(model=model, prompt="p"),
        "speak": lambda: client.audio.speech.create(model=model, input="a", voice="alloy"),
        "hear": lambda: client.audio.transcriptions.create(model=model, file=("a.wav", WAV)),
        "judge": lambda: client.moderations.create(model=model, input="a"),
    }
    with pytest.raises(openai.BadRequestError) as caught:
        await asked[call]()

    assert caught.value.code == "not_supported_by_provider"


async def test_no_link_leads_into_the_network(studio: Studio, client: Any) -> None:
    studio.provider.asked.clear()
    for url in (f"{studio.provider.url}/secret.png", "http://169.254.169.254/latest"):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.post(
                "/images/edits",
                body={
                    "model": "gemini/gemini-2.5-flash-image",
                    "prompt": "p",
                    "images": [{"image_url": url}],
                },
                cast_to=object,
            )
        assert caught.value.code == "unreachable_url"

    assert studio.provider.asked == []


@pytest.mark.parametrize("upstream", ["openai", "gemini"])
async def test_too_large_a_recording_is_refused(studio: Studio, client: Any, upstream: str) -> None:
    studio.provider.asked.clear()
    with pytest.raises(openai.APIStatusError) as caught:
        await client.audio.transcriptions.create(model=f"{upstream}/m", file=("a.wav", WAV + bytes(2**20)))

    assert caught.value.status_code == 413
    assert studio.provider.asked == []


# --- speech


async def test_speech_passes_as_it_comes(client: Any, studio: Studio) -> None:
    asked = client.audio.speech.with_streaming_response.create(
        model="openai/tts-1", input="Speak slowly", voice="alloy"
    )
    async with asked as reply:
        pieces = reply.iter_bytes(512)
        first = await anext(pieces)
        studio.provider.gate.set()
        rest = b"".join([piece async for piece in pieces])
        kind = reply.headers["content-type"]

    assert first + rest == MP3
    assert kind == "audio/mpeg"


async def test_speech_comes_in_events(client: Any) -> None:
    for model, form in (("openai/gpt-4o-mini-tts", "mp3"), ("gemini/gemini-2.5-flash-preview-tts", "wav")):
        reply = await client.audio.speech.create(
            model=model, input="Hello", voice="alloy", response_format=form, stream_format="sse"
        )
        text = reply.text

        assert "speech.audio.delta" in text
        assert '"usage"' in text.splitlines()[-2]


@pytest.mark.parametrize(
    ("form", "lost"), [("wav", {"voice"}), ("pcm", {"voice"}), ("mp3", {"voice", "response_format"})]
)
async def test_google_s_models_speak_for_openai_s_callers(
    studio: Studio, client: Any, form: str, lost: set[str]
) -> None:
    reply = await client.audio.speech.with_raw_response.create(
        model="gemini/gemini-2.5-flash-preview-tts", input="Hello", voice="alloy", response_format=form
    )

    assert losses(reply) == lost
    assert studio.asked["generationConfig"]["responseModalities"] == ["AUDIO"]
    if form == "pcm":
        assert (reply.content, reply.headers["content-type"]) == (SAMPLES, "audio/pcm")
    else:
        assert reply.headers["content-type"] == "audio/wav"
        with wave.open(BytesIO(reply.content)) as heard:
            assert heard.readframes(9999) == SAMPLES


# --- transcription


@pytest.mark.parametrize("model", ["openai/whisper-1", "gemini/gemini-2.5-flash"])
@pytest.mark.parametrize("form", ["json", "text", "verbose_json"])
async def test_a_recording_is_written_down(client: Any, model: str, form: str) -> None:
    got = await client.audio.transcriptions.create(
        model=model, file=("a.wav", WAV, "audio/wav"), response_format=form, language="en"
    )

    if form == "text":
        assert got == SAID + "\n"
        return
    assert got.text == SAID
    if form == "verbose_json":
        assert (got.language, got.segments[0].text) == ("english", SAID)
        assert got.duration == got.segments[0].end


async def test_subtitles_are_written(client: Any) -> None:
    got = await client.audio.transcriptions.create(
        model="gemini/gemini-2.5-flash", file=("a.wav", WAV), response_format="srt"
    )

    assert got == f"1\n00:00:00,000 --> 00:00:01,500\n{SAID}\n\n"


@pytest.mark.parametrize("model", ["openai/gpt-4o-transcribe", "gemini/gemini-2.5-flash"])
async def test_what_is_heard_comes_in_events(client: Any, model: str) -> None:
    stream = await client.audio.transcriptions.create(model=model, file=("a.wav", WAV), stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == SAID
    assert events[-1].usage.input_token_details.audio_tokens in (14, 64)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("model", ["openai/whisper-1", "gemini/gemini-2.5-flash"])
async def test_a_recording_is_translated(studio: Studio, client: Any, model: str) -> None:
    got = await client.audio.translations.create(model=model, file=("a.mp3", MP3, "audio/mpeg"))

    assert got.text == SAID
    if "gemini" in model:
        assert "in English" in studio.asked["contents"][0]["parts"][0]["text"]


# --- judgements


async def test_texts_and_pictures_are_judged(client: Any) -> None:
    got = await client.moderations.create(model="openai/omni-moderation-latest", input=["a", "b"])
    picture = await client.moderations.create(
        model="openai/omni-moderation-latest",
        input=[
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}},
        ],
    )

    assert [each.flagged for each in got.results] == [True, True]
    assert picture.results[0].category_scores.violence == 0.97


# --- the SDKs of others, natively


async def test_mistral_s_sdk_hears_speaks_and_judges(studio: Studio) -> None:
    async with Mistral(api_key=KEY, server_url=studio.gateway.url) as client:
        heard = await client.audio.transcriptions.complete_async(
            model="mistral/voxtral-mini-2602", file={"file_name": "a.wav", "content": WAV}
        )
        judged = await client.classifiers.moderate_async(
            model="mistral/mistral-moderation-latest", inputs=["a"]
        )
        spoken = await client.audio.speech.complete_async(
            model="mistral/voxtral-tts", input="Hello", voice_id="v"
        )

    assert (heard.text, heard.usage.prompt_audio_seconds) == (SAID, 2)
    assert judged.results[0].categories["violence"] is True
    assert b64decode(spoken.audio_data) == MP3


async def test_mistral_s_sdk_is_served_by_google(studio: Studio) -> None:
    async with Mistral(api_key=KEY, server_url=studio.gateway.url) as client:
        heard = await client.audio.transcriptions.complete_async(
            model="gemini/gemini-2.5-flash", file={"file_name": "a.wav", "content": WAV}
        )
        spoken = await client.audio.speech.complete_async(
            model="gemini/gemini-2.5-flash-preview-tts", input="Hello", voice_id="Kore", response_format="wav"
        )

    assert heard.text == SAID
    assert b64decode(spoken.audio_data).startswith(b"RIFF")


async def test_groq_s_sdk_hears(studio: Studio) -> None:
    async with groq.AsyncGroq(api_key=KEY, base_url=studio.gateway.url, max_retries=0) as client:
        got = await client.audio.transcriptions.create(model="openai/whisper-large-v3", file=("a.wav", WAV))

    assert got.text == SAID


# --- Google's SDK


@pytest.mark.parametrize(
    "model", ["openai/gpt-image-2", "xai/grok-imagine-image", "gemini/gemini-2.5-flash-image"]
)
async def test_google_s_sdk_has_pictures_made(studio: Studio, google: Any, model: str) -> None:
    wish = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="3:2")
    )
    got = await google.models.generate_content(model=model, contents="A red pixel", config=wish)
    picture = got.candidates[0].content.parts[0].inline_data

    assert (picture.data, picture.mime_type) == (PNG, "image/png")
    if model.startswith("openai"):
        assert studio.asked["size"] == "1536x1024"
        details = {
            each.modality.value: each.token_count for each in got.usage_metadata.candidates_tokens_details
        }
        assert details == {"IMAGE": 4160}


async def test_google_s_sdk_has_pictures_edited(studio: Studio, google: Any) -> None:
    parts = [types.Part.from_bytes(data=PNG, mime_type="image/png"), "Make it green"]
    wish = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    got = await google.models.generate_content(model="openai/gpt-image-2", contents=parts, config=wish)

    assert studio.path == "/v1/images/edits"
    assert studio.asked["images"] == [{"image_url": f"data:image/png;base64,{DATA}"}]
    assert got.candidates[0].content.parts[0].inline_data.data == PNG


async def test_google_s_sdk_has_pictures_made_in_a_stream(google: Any) -> None:
    wish = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    stream = await google.models.generate_content_stream(
        model="openai/gpt-image-2", contents="A red pixel", config=wish
    )
    chunks = [chunk async for chunk in stream]
    parts = [part for chunk in chunks for each in chunk.candidates or [] for part in each.content.parts or []]

    assert [part.inline_data.data for part in parts if part.inline_data] == [PNG]
    assert chunks[-1].usage_metadata.candidates_token_count == 4160
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


async def test_google_s_sdk_has_texts_spoken(studio: Studio, google: Any) -> None:
    voice = types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
    wish = types.GenerateContentConfig(
        response_modalities=["AUDIO"], speech_config=types.SpeechConfig(voice_config=voice)
    )
    got = await google.models.generate_content(model="openai/tts-1", contents="Hello", config=wish)
    sound = got.candidates[0].content.parts[0].inline_data

    assert studio.asked == {"model": "tts-1", "input": "Hello", "voice": "alloy", "response_format": "pcm"}
    assert (sound.data, sound.mime_type) == (SAMPLES, "audio/L16;codec=pcm;rate=24000")


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
@pytest.mark.parametrize("model", ["openai/gpt-image-2", "gemini/imagen-4.0-generate-001"])
async def test_google_s_sdk_predicts_pictures(studio: Studio, model: str) -> None:
    options = types.HttpOptions(base_url=studio.gateway.url, api_version="v1beta1")
    cloud = genai.Client(vertexai=True, api_key=KEY, http_options=options).aio
    wish = types.GenerateImagesConfig(number_of_images=2, aspect_ratio="16:9")
    try:
        got = await cloud.models.generate_images(model=f"{CLOUD}/{model}", prompt="A red pixel", config=wish)
    finally:
        await cloud.aclose()

    assert [each.image.image_bytes for each in got.generated_images] == [PNG, PNG]
    assert studio.path.endswith("/images/generations" if model.startswith("openai") else ":predict")


# --- what they used


async def test_each_call_is_accounted_by_what_it_used(tmp_path: Path) -> None:
    async with MediaProvider() as provider:
        tree = config(provider.url)
        tree["plugins"]["ledger"] = {"directory": str(tmp_path)}
        tree["pipeline"].append("ledger")
        tree["prices"] = {
            "openai/*": {"input": 1, "output": 2, "output_image": 40, "unit": 0.001},
            "gemini/*": {"input": 1, "output": 2, "input_audio": 3, "output_image": 30, "output_audio": 10},
        }
        async with (
            running_gateway(tree) as gateway,
            openai.AsyncOpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client,
        ):
            for upstream in ("openai", "gemini"):
                await client.images.generate(model=f"{upstream}/draws", prompt="a cat")
                await client.audio.speech.create(
                    model=f"{upstream}/speaks", input="Hello", voice="alloy", response_format="wav"
                )
                await client.audio.transcriptions.create(model=f"{upstream}/hears", file=("a.wav", WAV))
            await client.images.generate(model="gemini/imagen-4", prompt="a cat", n=2)
    with closing(Books(tmp_path / FILE, reading=True)) as books:
        rows = list(books.ask("SELECT input, output, units, parts, cost, state FROM attempts ORDER BY entry"))
        prices = [prices for (prices,) in books.ask("SELECT prices FROM attempts ORDER BY entry")]
        faults = list(Audit(books).run(Period()))

    assert faults == []
    assert rows == [
        (50, 4160, 0, '{"input_image":40,"output_image":4160}', 50 + 4160 * 40, "exact"),
        (0, 0, 5, "", 5000, "exact"),
        (0, 0, 3000, "", 3_000_000, "exact"),
        (8, 1290, 0, '{"output_image":1290}', 8 + 1290 * 30, "exact"),
        (8, 25, 0, '{"output_audio":25}', 8 + 25 * 10, "exact"),
        (72, 6, 0, '{"input_audio":64}', 8 + 64 * 3 + 6 * 2, "exact"),
        (0, 0, 2, "", 0, "exact"),
    ]
    assert [each.partition(":")[0] for each in prices] == ["config"] * 6 + ["unknown"]
