"""`generationConfig`, both ways: bounds, sampling, the answer's form, thinking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llmproxy.canonical import Format, GenerateRequest, Losses
from llmproxy.canonical.voices import googles_voice
from llmproxy_gemini.fields import bad, boolean, integer, lose_rest, members, number, texts, word
from llmproxy_gemini.schemas import json_schema
from llmproxy_gemini.thinking import read_thinking, write_thinking

_WHERE: Final = "generationConfig"
_JSON: Final = "application/json"

#: Members that go over one by one: the canonical field, and how its value is read.
_PLAIN: Final[dict[str, tuple[str, Callable[[object, str], Any]]]] = {
    "maxOutputTokens": ("max_tokens", integer),
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
    "topK": ("top_k", integer),
    "candidateCount": ("n", integer),
    "stopSequences": ("stop", texts),
    "presencePenalty": ("presence_penalty", number),
    "frequencyPenalty": ("frequency_penalty", number),
    "seed": ("seed", integer),
    "responseLogprobs": ("logprobs", boolean),
    "logprobs": ("top_logprobs", integer),
}
_FORMAT: Final = frozenset({"responseMimeType", "responseSchema", "responseJsonSchema"})
_KNOWN: Final = (
    frozenset(_PLAIN)
    | _FORMAT
    | {
        "thinkingConfig",
        "responseModalities",
        "imageConfig",
        "speechConfig",
    }
)

_SHAPE: Final = frozenset({"aspectRatio", "imageSize"})
_VOICES: Final = frozenset({"prebuiltVoiceConfig", "voice"})
_ONLY: Final = "only Gemini has it"
_NOT_ASKED: Final = "responseModalities asks for none"


def read_sampling(value: object, losses: Losses) -> dict[str, Any]:
    """Return the canonical fields that a generation config sets."""
    if value is None:
        return {}
    told = members(value, _WHERE)
    lose_rest(told, _KNOWN, _WHERE, losses)
    fields: dict[str, Any] = {}
    for key, (name, read) in _PLAIN.items():
        if key in told:
            fields[name] = read(told[key], f"{_WHERE}.{key}")
    if "responseModalities" in told:
        wanted = texts(told["responseModalities"], f"{_WHERE}.responseModalities")
        fields["modalities"] = tuple(each.lower() for each in wanted)
    wishes = fields.get("modalities", ())
    fields |= _drawn(told, losses, asked="image" in wishes) | _spoken(told, losses, asked="audio" in wishes)
    if "thinkingConfig" in told:
        fields["thinking"] = read_thinking(told["thinkingConfig"], losses)
    fields["format"] = _format(told, losses)
    return fields


def _drawn(told: dict[str, Any], losses: Losses, *, asked: bool) -> dict[str, str]:
    """Return how a picture shall be, if one is asked for."""
    if "imageConfig" not in told:
        return {}
    where = f"{_WHERE}.imageConfig"
    config = members(told["imageConfig"], where)
    lose_rest(config, _SHAPE if asked else frozenset(), where, losses, _ONLY if asked else _NOT_ASKED)
    if not asked:
        return {}
    return {"aspect": word(config, "aspectRatio", where), "resolution": word(config, "imageSize", where)}


def _spoken(told: dict[str, Any], losses: Losses, *, asked: bool) -> dict[str, str]:
    """Return whose voice shall speak, if something is to be spoken."""
    if "speechConfig" not in told:
        return {}
    where = f"{_WHERE}.speechConfig"
    config = members(told["speechConfig"], where)
    lose_rest(config, frozenset({"voiceConfig"}), where, losses)
    where = f"{where}.voiceConfig"
    voice = members(config.get("voiceConfig") or {}, where)
    lose_rest(voice, _VOICES if asked else frozenset({"prebuiltVoiceConfig"}), where, losses)
    where_built_in = f"{where}.prebuiltVoiceConfig"
    built_in = members(voice.get("prebuiltVoiceConfig") or {}, where_built_in)
    lose_rest(
        built_in, frozenset({"voiceName"}) if asked else frozenset(), where_built_in, losses, _NOT_ASKED
    )
    if not asked:
        return {}
    name = word(built_in, "voiceName", where_built_in)
    return {"voice": name or word(voice, "voice", where)}


def _format(told: dict[str, Any], losses: Losses) -> Format | None:
    for key, read in (("responseJsonSchema", None), ("responseSchema", json_schema)):
        schema = told.get(key)
        if schema is not None:
            if not isinstance(schema, dict):
                raise bad(f"{_WHERE}.{key}", "an object")
            return Format(kind="schema", schema=schema if read is None else read(schema))
    media_type = word(told, "responseMimeType", _WHERE)
    if media_type == _JSON:
        return Format(kind="json")
    if media_type not in ("", "text/plain"):
        losses.add(
            f"{_WHERE}.responseMimeType", f"other providers answer in text or JSON, not {media_type[:80]}"
        )
    return None


def write_sampling(request: GenerateRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Return the generation config of a request, its members in one fixed order."""
    written: dict[str, Any] = {}
    for key, (name, _) in _PLAIN.items():
        value = getattr(request, name)
        if value is not None and value != ():
            written[key] = value
    if request.top_logprobs and not request.logprobs:
        written["responseLogprobs"] = True
    if request.top_logprobs == 0:
        written.pop("logprobs", None)
    if request.format is not None:
        written |= _write_format(request.format, losses)
    if request.modalities:
        written["responseModalities"] = [each.upper() for each in request.modalities]
    written |= _write_media(request, losses)
    if request.thinking is not None:
        config = write_thinking(request.thinking, model, losses)
        if config:
            written["thinkingConfig"] = config
    return written


def _write_media(request: GenerateRequest, losses: Losses) -> dict[str, Any]:
    written: dict[str, Any] = {}
    shape = {"aspectRatio": request.aspect, "imageSize": request.resolution}
    if any(shape.values()):
        written["imageConfig"] = {key: value for key, value in shape.items() if value}
    if request.voice:
        named = {"voiceName": googles_voice(request.voice, losses)}
        written["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": named}}
    return written


def _write_format(form: Format, losses: Losses) -> dict[str, Any]:
    if form.name:
        losses.lose("format.name", "Gemini's schemas have no name")
    if form.description:
        losses.lose("format.description", "Gemini's schemas have no description of their own")
    if form.strict is not None:
        losses.lose("format.strict", "Gemini always keeps to the schema")
    if form.schema is None:
        return {"responseMimeType": _JSON}
    return {"responseMimeType": _JSON, "responseJsonSchema": form.schema}
