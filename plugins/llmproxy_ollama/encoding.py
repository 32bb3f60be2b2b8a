"""A canonical request as the body of `/api/chat`.

What stays the same from turn to turn stands first and the messages last, so that each turn's body begins as the one
before.
"""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import GenerateRequest, HostedTool, Losses, Thinking, Tool
from llmproxy_ollama.messages import write_messages
from llmproxy_ollama.options import write_options

# Canonical fields that have no place here, and why.
_PLACELESS: Final = {
    "logit_bias": "Ollama takes no bias",
    "n": "Ollama gives one answer",
    "verbosity": "Ollama's answers cannot be asked to be longer or shorter",
    "modalities": "Ollama answers in text",
    "aspect": "Ollama answers in text",
    "resolution": "Ollama answers in text",
    "voice": "Ollama answers in text",
    "user": "Ollama is not told of users",
    "metadata": "Ollama keeps nothing of a request",
    "service_tier": "Ollama has none",
    "prompt_cache_key": "Ollama keeps what prompts have in common by itself",
}
#: Efforts by what Ollama calls them; it has three, and no more than a switch for most models.
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def write_request(request: GenerateRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Return the body; report what Ollama cannot be told."""
    for name, why in _PLACELESS.items():
        if getattr(request, name):
            losses.lose(name, why)
    body: dict[str, Any] = {"model": model, "stream": request.streamed}
    if options := write_options(request):
        body["options"] = options
    if request.format is not None:
        _write_format(request, body, losses)
    if request.thinking is not None:
        _write_thinking(request.thinking, body, losses)
    if request.logprobs:
        body["logprobs"] = True
        if request.top_logprobs is not None:
            body["top_logprobs"] = request.top_logprobs
    if tools := _tools(request, losses):
        body["tools"] = tools
    body["messages"] = write_messages(request, losses)
    return body


def _write_format(request: GenerateRequest, body: dict[str, Any], losses: Losses) -> None:
    form = request.format
    if form is None:
        return
    body["format"] = form.schema or "json"
    if form.description:
        losses.lose("format.description")
    if form.strict is False:
        losses.lose("format.strict", "Ollama always keeps to the schema")


def _write_thinking(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    if thinking.show not in ("", "auto"):
        losses.lose("thinking.show", "Ollama always shows what is thought")
    if thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0:
        body["think"] = False
        return
    if thinking.budget is not None:
        losses.lose("thinking.budget", "Ollama counts no tokens of thought apart")
    if thinking.effort:
        body["think"] = _EFFORTS.get(thinking.effort, "medium")
        if body["think"] != thinking.effort:
            losses.lose("thinking.effort", f"told as {body['think']!r}")
    elif thinking.enabled or thinking.adaptive or thinking.budget is not None:
        body["think"] = True


def _tools(request: GenerateRequest, losses: Losses) -> list[dict[str, Any]]:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return []  # what is not offered is not called
    if choice is not None and (choice.mode == "required" or choice.names):
        losses.lose("tool_choice", "Ollama's models call tools as they like")
    if request.parallel_tool_calls is False:
        losses.lose("parallel_tool_calls", "Ollama's models call as many tools at once as they like")
    tools = []
    for tool in request.tools:
        if isinstance(tool, HostedTool):
            losses.lose("tools.hosted", f"{tool.kind} is run by {tool.origin or 'another provider'} only")
        else:
            tools.append(_tool(tool, losses))
    return tools


def _tool(tool: Tool, losses: Losses) -> dict[str, Any]:
    if tool.strict:
        losses.lose("tools.strict", "calls mostly keep to the schema, which cannot be asked for")
    if tool.cache is not None:
        losses.lose("tools.cache", "Ollama keeps what prompts have in common by itself")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    # A model's template may take it for granted.
    function["parameters"] = tool.schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}
