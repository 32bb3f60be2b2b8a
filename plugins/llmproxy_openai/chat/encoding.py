"""The canonical form, written as a chat completion's request, as the provider takes it.

What changes from turn to turn stands last: the messages, so that a conversation's next request starts with the bytes of
the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy_openai.chat.messages import Writer
from llmproxy_openai.chat.tools import write_tools
from llmproxy_openai.traits import fitted, fitted_quirks
from llmproxy_openai.users import written_user

if TYPE_CHECKING:
    from llmproxy.canonical import Format, GenerateRequest, Losses, Thinking
    from llmproxy.plugin import Quirks

#: OpenAI takes no more stop sequences.
_MOST_STOPS: Final = 4
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})

#: Fields that are written as they are, in this order.
_PLAIN: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
    "verbosity",
    "prompt_cache_key",
)
#: Fields that only some providers take.
_EXTRA: Final = ("top_k", "min_p")

#: How much thought a budget of tokens is, up to each bound.
_EFFORTS: Final = ((4096, "low"), (16384, "medium"))


def encode_chat(request: GenerateRequest, model: str, quirks: Quirks, losses: Losses) -> dict[str, Any]:
    """Return the body; report what it cannot carry."""
    request, quirks = fitted(request, model, losses), fitted_quirks(quirks, model)
    body: dict[str, Any] = {"model": model}
    write_tools(request, body, quirks, losses)
    for key in _PLAIN:
        value = getattr(request, key)
        if value is not None and value != "":
            _put(body, key, value, quirks, losses)
    for key in _EXTRA:
        value = getattr(request, key)
        if value is not None and key in quirks.extras:
            body[key] = value
        elif value is not None:
            losses.lose(key)
    _write_bounds(request, body, quirks, losses)
    if request.format is not None:
        _write_format(request.format, body, quirks, losses)
    if request.thinking is not None:
        _write_thinking(request.thinking, body, quirks, losses)
    _write_rest(request, body, quirks, losses)
    if request.streamed:
        body["stream"] = True
        if quirks.stream_usage == "asked":
            body["stream_options"] = {"include_usage": True}
    body["messages"] = Writer(quirks, losses).write(request)
    return body


def _put(body: dict[str, Any], key: str, value: Any, quirks: Quirks, losses: Losses) -> None:
    if key in quirks.refused:
        losses.lose(key, "the provider refuses it")
    else:
        body[key] = value


def _write_bounds(request: GenerateRequest, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    if request.max_tokens is not None:
        body[quirks.max_tokens] = request.max_tokens
    if request.seed is not None:
        if "random_seed" in quirks.extras:
            body["random_seed"] = request.seed
        else:
            _put(body, "seed", request.seed, quirks, losses)
    if len(request.stop) > _MOST_STOPS:
        losses.lose("stop", f"only the first {_MOST_STOPS} sequences are taken")
    if request.stop:
        _put(body, "stop", list(request.stop[:_MOST_STOPS]), quirks, losses)


def _write_rest(request: GenerateRequest, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    if request.user:
        _put(body, "user", written_user(request.user, losses), quirks, losses)
    if request.service_tier in _TIERS:
        _put(body, "service_tier", request.service_tier, quirks, losses)
    elif request.service_tier:
        losses.lose("service_tier", "the provider has no such tier")
    if request.metadata:
        losses.lose("metadata", "providers take it for answers that they store")
    if request.modalities and request.modalities != ("text",):
        _write_modalities(request, body, quirks, losses)
    for name in ("aspect", "resolution", "voice"):
        if getattr(request, name) and (name == "voice" or "image_config" not in body):
            losses.lose(name, "the answer comes as text")


def _write_modalities(request: GenerateRequest, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    """Ask for a picture in the answer, where that can be done."""
    if "modalities" not in quirks.extras or "audio" in request.modalities:
        losses.lose("modalities", "the answer comes as text")
        return
    body["modalities"] = list(request.modalities)
    shape = {"aspect_ratio": request.aspect, "image_size": request.resolution}
    if any(shape.values()):
        body["image_config"] = {key: value for key, value in shape.items() if value}


def _write_format(form: Format, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    if quirks.format == "none":
        losses.lose("format", "the provider has no such mode")
    elif form.kind == "json":
        body["response_format"] = {"type": "json_object"}
    elif quirks.format == "json_object":
        body["response_format"] = {"type": "json_object"}
        losses.lose("format", "asked for as JSON without the schema")
    else:
        told: dict[str, Any] = {"name": form.name or "answer"}
        if form.description:
            told["description"] = form.description
        told["schema"] = form.schema or {}
        if form.strict is not None:
            told["strict"] = form.strict
        body["response_format"] = {"type": "json_schema", "json_schema": told}


def _write_thinking(thinking: Thinking, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    if thinking.show and quirks.thinking != "reasoning":
        losses.lose("thinking.show")
    if quirks.thinking == "reasoning_effort":
        _write_effort(thinking, body, losses)
    elif quirks.thinking == "thinking":
        _write_switch(thinking, body, losses)
    elif quirks.thinking == "thinking_and_effort":
        _write_switch_and_effort(thinking, body, losses)
    elif quirks.thinking == "reasoning":
        _write_routed(thinking, body, losses)
    elif thinking.effort or thinking.budget is not None or thinking.enabled is not None:
        losses.lose("thinking", "the provider cannot be told how much to think")


def _write_effort(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    """Write OpenAI's word; models that do not think refuse any, so nothing is said of a mere yes or no."""
    effort = thinking.effort
    if not effort and thinking.budget is not None and thinking.enabled is not False:
        effort = next((word for most, word in _EFFORTS if thinking.budget <= most), "high")
        losses.lose("thinking.budget", f"told as reasoning_effort {effort!r}")
    elif thinking.budget is not None:
        losses.lose("thinking.budget", "the effort stands for it")
    if effort:
        body["reasoning_effort"] = effort
    elif thinking.enabled is not None or thinking.adaptive:
        losses.lose("thinking", "left to the model, which has no such switch")


def _write_switch(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    """Write a switch, which is all that these providers have."""
    asked = thinking.enabled is not False and thinking.effort != "none" and thinking.budget != 0
    body["thinking"] = {"type": "enabled" if asked else "disabled"}
    if thinking.effort not in ("", "none"):
        losses.lose("thinking.effort", "told as thinking switched on")
    if thinking.budget:
        losses.lose("thinking.budget", "told as thinking switched on")


def _write_switch_and_effort(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    """Write a switch, and an effort where one is asked for."""
    if thinking.effort in ("", "none"):
        _write_switch(thinking, body, losses)
        return
    body["thinking"] = {"type": "enabled"}
    body["reasoning_effort"] = thinking.effort
    if thinking.budget is not None:
        losses.lose("thinking.budget", "the effort stands for it")


def _write_routed(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    """Write OpenRouter's object; it takes an effort or a budget."""
    told: dict[str, Any] = {}
    if thinking.effort:
        told["effort"] = thinking.effort
        if thinking.budget is not None:
            losses.lose("thinking.budget", "the effort stands for it")
    elif thinking.budget is not None and thinking.enabled is not False:
        told["max_tokens"] = thinking.budget
    elif thinking.enabled is not None:
        told["enabled"] = thinking.enabled
    if thinking.show == "omitted":
        told["exclude"] = True
    if told:
        body["reasoning"] = told
