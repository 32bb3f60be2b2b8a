"""A chat completion's request, read into the canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Format, GenerateRequest, Thinking
from llmproxy.canonical.fields import count, flag, members, number, objects, rest, text, texts, wrong
from llmproxy_openai.chat.tools import read_choice, read_tools
from llmproxy_openai.chat.turns import Turns

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: The fields that are read.
_KNOWN: Final = frozenset(
    """
    model messages stream stream_options n stop seed random_seed store response_format tools functions tool_choice
    function_call parallel_tool_calls max_tokens max_completion_tokens temperature top_p top_k min_p frequency_penalty
    presence_penalty logit_bias logprobs top_logprobs verbosity modalities service_tier metadata prompt_cache_key
    reasoning_effort thinking reasoning include_reasoning user safety_identifier
    """.split()  # noqa: SIM905  # words read better than a page of quotes
)

_NOT_TOLD: Final = "other providers have nothing like it"
#: Fields of OpenAI's own that no other dialect has, and why they are lost.
_OWN: Final = {
    "audio": "an answer in speech can only be had in the provider's own API",
    "prediction": _NOT_TOLD,
    "web_search_options": "the search that runs with chat completions is OpenAI's own",
    "moderation": _NOT_TOLD,
    "prompt_cache_options": "only single marks in the messages are carried",
    "prompt_cache_retention": _NOT_TOLD,
}
_SCHEMA: Final = frozenset({"name", "description", "schema", "strict"})


def decode_chat(asked: dict[str, Any], losses: Losses) -> GenerateRequest:
    """Read a request; report what the canonical form cannot hold."""
    turns = Turns(losses)
    messages = objects(asked, "messages")
    if not messages:
        raise wrong("messages", "a list of messages that is not empty")
    for place, message in enumerate(messages):
        turns.take(message, f"messages[{place}].")
    turns.flush()
    _report_rest(asked, losses)
    options = members(asked, "stream_options") or {}
    rest(options, frozenset({"include_usage", "include_obfuscation"}), "stream_options.", losses)
    several, modalities = count(asked, "n"), texts(asked, "modalities")
    return GenerateRequest(
        model=text(asked, "model"),
        messages=tuple(turns.messages),
        system=tuple(turns.system),
        tools=read_tools(asked, losses),
        tool_choice=read_choice(asked, losses),
        parallel_tool_calls=flag(asked, "parallel_tool_calls"),
        max_tokens=_first_count(asked, "max_completion_tokens", "max_tokens", losses),
        temperature=number(asked, "temperature"),
        top_p=number(asked, "top_p"),
        top_k=count(asked, "top_k"),
        min_p=number(asked, "min_p"),
        stop=texts(asked, "stop"),
        seed=_first_count(asked, "seed", "random_seed", losses),
        # What says no more than the default is no wish, and nothing is lost with it.
        frequency_penalty=number(asked, "frequency_penalty") or None,
        presence_penalty=number(asked, "presence_penalty") or None,
        logit_bias=members(asked, "logit_bias") or None,
        logprobs=flag(asked, "logprobs") or None,
        top_logprobs=count(asked, "top_logprobs"),
        n=None if several == 1 else several,
        format=_format(asked, losses),
        thinking=_thinking(asked, losses),
        verbosity=text(asked, "verbosity"),
        modalities=() if modalities == ("text",) else modalities,
        streamed=flag(asked, "stream") is True,
        include_usage=flag(options, "include_usage", "stream_options.") is True,
        user=_user(asked, losses),
        metadata=members(asked, "metadata") or None,
        service_tier=text(asked, "service_tier"),
        prompt_cache_key=text(asked, "prompt_cache_key"),
    )


def _report_rest(asked: dict[str, Any], losses: Losses) -> None:
    if not asked.keys() - _KNOWN and "store" not in asked:
        return
    for key, why in _OWN.items():
        if asked.get(key) is not None:
            losses.add(key, why)
    rest(asked, _KNOWN | _OWN.keys(), "", losses)
    if flag(asked, "store"):
        losses.add("store", "nothing is stored with a provider of another dialect")


def _first_count(asked: dict[str, Any], first: str, second: str, losses: Losses) -> int | None:
    value, other = count(asked, first), count(asked, second)
    if value is not None and other is not None and value != other:
        losses.add(second, f"'{first}' says it otherwise")
    return other if value is None else value


def _user(asked: dict[str, Any], losses: Losses) -> str:
    safety, user = text(asked, "safety_identifier"), text(asked, "user")
    if safety and user and safety != user:
        losses.add("user", "'safety_identifier' stands for it")
    return safety or user


def _format(asked: dict[str, Any], losses: Losses) -> Format | None:
    form = members(asked, "response_format")
    if form is None:
        return None
    kind = text(form, "type", "response_format.")
    if kind == "json_schema":
        rest(form, frozenset({"type", "json_schema"}), "response_format.", losses)
        return _schema(form, losses)
    if kind == "json_object":
        rest(form, frozenset({"type", "schema"}), "response_format.", losses)
        schema = members(form, "schema", "response_format.")
        return Format("json") if schema is None else Format("schema", schema)
    if kind != "text":
        losses.add("response_format", f"the gateway does not know the format {kind[:60]!r}")
    return None


def _schema(form: dict[str, Any], losses: Losses) -> Format:
    at = "response_format.json_schema."
    told = members(form, "json_schema", "response_format.")
    if told is None:
        raise wrong(at[:-1], "an object")
    rest(told, _SCHEMA, at, losses)
    return Format(
        "schema",
        members(told, "schema", at) or {},
        text(told, "name", at),
        text(told, "description", at),
        flag(told, "strict", at),
    )


def _thinking(asked: dict[str, Any], losses: Losses) -> Thinking | None:
    """Read how much to think: OpenAI's word, Anthropic's object as many servers take it, or OpenRouter's object."""
    effort = text(asked, "reasoning_effort")
    own, routed = members(asked, "thinking"), members(asked, "reasoning")
    shown = flag(asked, "include_reasoning")
    if own is not None:
        return _own_thinking(own, effort, losses)
    if routed is not None:
        return _routed_thinking(routed, effort, losses)
    if not effort and shown is None:
        return None
    enabled = (effort != "none") if effort else None
    return Thinking(enabled, effort, show="omitted" if shown is False else "")


def _own_thinking(told: dict[str, Any], effort: str, losses: Losses) -> Thinking:
    rest(told, frozenset({"type", "budget_tokens"}), "thinking.", losses)
    kind = text(told, "type", "thinking.")
    budget = count(told, "budget_tokens", "thinking.")
    return Thinking(kind != "disabled", effort, budget, adaptive=kind == "adaptive")


def _routed_thinking(told: dict[str, Any], effort: str, losses: Losses) -> Thinking:
    at = "reasoning."
    rest(told, frozenset({"effort", "max_tokens", "enabled", "exclude", "summary"}), at, losses)
    effort = text(told, "effort", at) or effort
    budget, enabled = count(told, "max_tokens", at), flag(told, "enabled", at)
    if enabled is None and (effort or budget is not None):
        enabled = effort != "none" and budget != 0
    show = "omitted" if flag(told, "exclude", at) else text(told, "summary", at)
    return Thinking(enabled, effort, budget, show=show)
