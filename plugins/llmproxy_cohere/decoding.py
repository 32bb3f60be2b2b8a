"""A caller's chat request in the canonical form. Source: Cohere's API reference, Chat v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Format, GenerateRequest, Thinking, Tool, ToolChoice
from llmproxy.canonical.fields import count, flag, members, number, objects, required_text, rest, text, wrong
from llmproxy.plugin import BadField
from llmproxy_cohere.fields import texts
from llmproxy_cohere.turns import read_turns

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "tools",
        "strict_tools",
        "tool_choice",
        "documents",
        "citation_options",
        "response_format",
        "safety_mode",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "k",
        "p",
        "logprobs",
        "thinking",
        "priority",
    }
)
_FUNCTION: Final = "tools[].function."
_UNCITED: Final = frozenset({"OFF", "DISABLED"})


def decode_chat(asked: dict[str, Any], losses: Losses, *, streamed: bool) -> GenerateRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(asked, _KNOWN, "", losses)
    if text(asked, "safety_mode") not in ("", "CONTEXTUAL"):
        losses.add("safety_mode", "other providers have no such mode; their own rules hold")
    if asked.get("priority"):
        losses.add("priority", "other providers know no such order")
    mode = text(members(asked, "citation_options") or {}, "mode", "citation_options.").upper()
    if mode in ("FAST", "ACCURATE"):
        losses.add("citation_options.mode", "other providers cite as they do")
    cited = mode not in _UNCITED
    system, messages = read_turns(asked, losses, cited=cited)
    return GenerateRequest(
        model=text(asked, "model"),
        system=system,
        messages=messages,
        tools=_tools(asked, losses),
        tool_choice=_choice(text(asked, "tool_choice")),
        max_tokens=count(asked, "max_tokens"),
        stop=texts(asked, "stop_sequences"),
        temperature=number(asked, "temperature"),
        top_p=number(asked, "p"),
        top_k=count(asked, "k") or None,
        seed=count(asked, "seed"),
        frequency_penalty=number(asked, "frequency_penalty"),
        presence_penalty=number(asked, "presence_penalty"),
        logprobs=flag(asked, "logprobs"),
        format=_format(asked, losses),
        thinking=_thinking(asked),
        streamed=streamed,
    )


def documents_of(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the request's documents, each as an object with its data."""
    told = asked.get("documents")
    if told is None:
        return []
    if type(told) is not list or not all(type(each) in (str, dict) for each in told):
        raise wrong("documents", "a list of texts or documents")
    return [{"data": {"text": each}} if type(each) is str else each for each in told]


def _tools(asked: dict[str, Any], losses: Losses) -> tuple[Tool, ...]:
    strict = flag(asked, "strict_tools") or None
    tools = []
    for tool in objects(asked, "tools"):
        if text(tool, "type", "tools[].") not in ("", "function"):
            raise BadField("invalid_value", "'tools[].type' must be 'function'.", "tools[].type")
        rest(tool, frozenset({"type", "function"}), "tools[].", losses)
        told = members(tool, "function", "tools[].") or {}
        rest(told, frozenset({"name", "description", "parameters"}), _FUNCTION, losses)
        tools.append(
            Tool(
                name=required_text(told, "name", _FUNCTION),
                description=text(told, "description", _FUNCTION),
                schema=members(told, "parameters", _FUNCTION),
                strict=strict,
            )
        )
    return tuple(tools)


def _choice(word: str) -> ToolChoice | None:
    if word in ("", "AUTO"):
        return None
    if word not in ("REQUIRED", "NONE"):
        raise BadField("invalid_value", "'tool_choice' must be 'REQUIRED' or 'NONE'.", "tool_choice")
    return ToolChoice(mode="required" if word == "REQUIRED" else "none")


def _format(asked: dict[str, Any], losses: Losses) -> Format | None:
    told = members(asked, "response_format")
    if told is None:
        return None
    at = "response_format."
    rest(told, frozenset({"type", "json_schema", "schema"}), at, losses)
    kind = required_text(told, "type", at)
    if kind == "text":
        return None
    if kind != "json_object":
        raise BadField("invalid_value", f"'{at}type' must be 'text' or 'json_object'.", f"{at}type")
    # `schema` is what the first API calls it.
    schema = members(told, "json_schema", at) or members(told, "schema", at)
    return Format(kind="schema", schema=schema) if schema else Format(kind="json")


def _thinking(asked: dict[str, Any]) -> Thinking | None:
    told = members(asked, "thinking")
    if told is None:
        return None
    kind = text(told, "type", "thinking.")
    if kind not in ("", "enabled", "disabled"):
        raise BadField("invalid_value", "'thinking.type' must be 'enabled' or 'disabled'.", "thinking.type")
    budget = count(told, "token_budget", "thinking.")
    return Thinking(enabled=None if not kind else kind == "enabled", budget=budget)
