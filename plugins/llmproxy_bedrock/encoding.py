"""Writes a canonical request as a Converse body.

Members stand in a fixed order, messages last, so that a conversation's next request begins with the bytes of the one
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.canonical import CountRequest, GenerateRequest, HostedTool, Losses, Tool, ToolCall, ToolResult
from llmproxy.canonical.schemas import asked_in_words, taken
from llmproxy.plugin import BadRequest, UpstreamRequest, carried_headers
from llmproxy_bedrock.models import Habits, habits_of
from llmproxy_bedrock.paths import target, written
from llmproxy_bedrock.thinking import write_thinking
from llmproxy_bedrock.thoughts import OWN
from llmproxy_bedrock.turns import write_turns
from llmproxy_bedrock.writing import Writer, Written

if TYPE_CHECKING:
    from llmproxy.canonical import Format, ModelRequest, ToolChoice
    from llmproxy.plugin import ClientRequest

_TIERS: Final = frozenset({"default", "priority", "flex", "reserved"})
_ORDER: Final = (
    "inferenceConfig",
    "additionalModelRequestFields",
    "outputConfig",
    "serviceTier",
    "requestMetadata",
    "toolConfig",
    "system",
    "messages",
)
# What Amazon has no place for, each with the value that asks for nothing.
_UNSAYABLE: Final = (
    ("aspect", ""),
    ("resolution", ""),
    ("voice", ""),
    ("min_p", None),
    ("seed", None),
    ("frequency_penalty", None),
    ("presence_penalty", None),
    ("logit_bias", None),
    ("logprobs", None),
    ("top_logprobs", None),
    ("verbosity", ""),
    ("prompt_cache_key", ""),
    ("user", ""),
)


def encode_request(
    caller: ClientRequest, model: str, request: ModelRequest, losses: Losses
) -> UpstreamRequest | None:
    """Return the wire request; None where Converse has no such call."""
    if isinstance(request, CountRequest):
        from llmproxy_bedrock.counting import write_count  # noqa: PLC0415  # it counts what is written here

        body, action = write_count(request, model), "count-tokens"
    elif isinstance(request, GenerateRequest):
        body = write_body(model, request, losses)
        action = "converse-stream" if request.streamed else "converse"
    else:
        return None
    headers = carried_headers(caller)
    headers.raw += [(b"Content-Type", b"application/json"), (b"Accept", _ACCEPTED[action])]
    return UpstreamRequest("POST", target(written(model), action), headers, _dumped(body))


_ACCEPTED: Final = {
    "converse": b"application/json",
    "count-tokens": b"application/json",
    "converse-stream": b"application/vnd.amazon.eventstream",
}


def _dumped(body: Written) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("too_complex", "The request is nested too deeply to be written anew.") from None


def write_body(model: str, request: GenerateRequest, losses: Losses) -> Written:
    """Write the members of a Converse request."""
    habits = habits_of(model)
    writer = Writer(habits, losses)
    body: Written = {"messages": write_turns(request.messages, writer)}
    system = [
        piece for block in request.system for piece in writer.block(block, "system") if block.text.strip()
    ]
    _tools(request, body, writer)
    _format(request.format, body, system, habits, losses)
    if system and not body["messages"]:
        why = "instructions alone stand as the user's turn, without which nothing is answered"
        losses.lose("system", why)
        body["messages"] = [{"role": "user", "content": system}]
    elif system:
        body["system"] = system
    if config := _inference(request, habits, losses):
        body["inferenceConfig"] = config
    write_thinking(request, body, habits, losses)
    _settle_sampling(body, losses)
    _top_k(request, body, habits, losses)
    _rest(request, body, losses)
    return {key: body[key] for key in _ORDER if key in body}


def _tools(request: GenerateRequest, body: Written, writer: Writer) -> None:
    losses, choice = writer.losses, request.tool_choice
    tools = [piece for tool in request.tools for piece in _tool(tool, writer)]
    talked = _names_of_calls(request)
    if choice is not None and choice.mode == "none":
        if not talked:
            return  # tools that nobody may call need not be told
        losses.lose("tool_choice", "Amazon cannot bar the tools that a conversation has called")
        choice = None
    if not tools:
        if request.tool_choice is not None and request.tool_choice.mode == "required":
            losses.lose("tool_choice", "there are no tools to choose from")
        if talked:
            losses.lose("tools", "Amazon wants the tools that a conversation has called; they are named")
            body["toolConfig"] = {"tools": [_spec(name) for name in talked]}
        return
    body["toolConfig"] = {"tools": tools}
    if (told := _choice(choice, losses)) is not None:
        body["toolConfig"]["toolChoice"] = told
    if request.parallel_tool_calls is False:
        losses.lose("parallel_tool_calls", "Amazon has no such switch")


def _names_of_calls(request: GenerateRequest) -> list[str]:
    """Return the tools that the conversation has called."""
    blocks = [block for message in request.messages for block in message.content]
    names = [block.name for block in blocks if isinstance(block, ToolCall | ToolResult) and block.name]
    return list(dict.fromkeys(names))


def _spec(name: str) -> Written:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}


def _tool(tool: Tool | HostedTool, writer: Writer) -> list[Written]:
    if isinstance(tool, HostedTool):
        if tool.origin == OWN:
            return [tool.value]
        writer.losses.lose("tools.hosted", "only its own provider runs it")
        return []
    spec: Written = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    schema = tool.schema or {"type": "object", "properties": {}}
    spec["inputSchema"] = {"json": schema if "type" in schema else {"type": "object", **schema}}
    if tool.strict:
        if writer.habits.schemas and (writer.habits.claude is None or taken(schema) == schema):
            spec["strict"] = True
        else:
            writer.losses.lose("tools.strict", "the model cannot be held to this schema")
    told = [{"toolSpec": spec}]
    return told if tool.cache is None else [*told, *writer.mark(tool.cache, "tools.cache")]


def _choice(choice: ToolChoice | None, losses: Losses) -> Written | None:
    if choice is None:
        return None
    if len(choice.names) == 1 and choice.mode == "required":
        return {"tool": {"name": choice.names[0]}}
    if choice.names:
        losses.lose("tool_choice.names", "any of the tools may be called")
    return {"any": {}} if choice.mode == "required" else {"auto": {}}


def _format(
    form: Format | None, body: Written, system: list[Written], habits: Habits, losses: Losses
) -> None:
    if form is None:
        return
    if form.strict is False:
        losses.lose("format.strict", "a schema is always kept to")
    if form.kind == "schema" and form.schema is not None and habits.schemas:
        schema = form.schema if habits.claude is None else taken(form.schema)
        if schema is not form.schema:
            why = "what the model's schemas cannot say of it became part of the descriptions"
            losses.lose("format.schema", why)
        told: Written = {"schema": orjson.dumps(schema).decode()}
        told.update({key: value for key in ("name", "description") if (value := getattr(form, key))})
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": told}}}
        return
    system.append({"text": asked_in_words(form, losses)})


def _inference(request: GenerateRequest, habits: Habits, losses: Losses) -> Written:
    config: Written = {}
    if request.max_tokens is not None:
        config["maxTokens"] = request.max_tokens
    claude = habits.claude
    for name, key in (("temperature", "temperature"), ("top_p", "topP")):
        value: Any = getattr(request, name)
        if value is None:
            continue
        if claude is not None and not claude.sampling:
            losses.lose(name, "the model takes no sampling parameters")
        elif name == "top_p" and claude is not None and not claude.both_samplings and "temperature" in config:
            losses.lose(name, "the model takes temperature or top_p, not both")
        elif name == "temperature" and value > 1:
            losses.lose(name, "it was lowered to 1, the most there is")
            config[key] = 1
        else:
            config[key] = value
    stop = [text for text in request.stop if text and (habits.blank_stops or text.strip())]
    if stop:
        config["stopSequences"] = stop
    if len(stop) < len(request.stop):
        losses.lose("stop", "sequences of nothing but space are refused")
    return config


def _settle_sampling(body: Written, losses: Losses) -> None:
    """Take out what does not go with thinking."""
    thinking = body.get("additionalModelRequestFields", {}).get("thinking", {})
    config = body.get("inferenceConfig", {})
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    if config.get("temperature", 1) != 1:
        losses.lose("temperature", "it does not go with thinking")
        del config["temperature"]
    if config.get("topP", 1) < 0.95:
        losses.lose("top_p", "it does not go with thinking")
        del config["topP"]


def _top_k(request: GenerateRequest, body: Written, habits: Habits, losses: Losses) -> None:
    if request.top_k is None:
        return
    claude = habits.claude
    thinks = "thinking" in body.get("additionalModelRequestFields", {})
    if not habits.top_k or (claude is not None and (not claude.sampling or thinks)):
        losses.lose("top_k", "the model does not take it, or not with thinking")
        return
    place = body.setdefault("additionalModelRequestFields", {})
    for key in habits.top_k[:-1]:
        place = place.setdefault(key, {})
    place[habits.top_k[-1]] = request.top_k


def _rest(request: GenerateRequest, body: Written, losses: Losses) -> None:
    if request.service_tier in _TIERS:
        body["serviceTier"] = {"type": request.service_tier}
    elif request.service_tier and request.service_tier != "auto":
        losses.lose("service_tier", "Amazon has no such tier")
    if request.metadata:
        body["requestMetadata"] = {key: str(value) for key, value in request.metadata.items()}
    if request.n is not None and request.n > 1:
        losses.lose("n", "one answer is given")
    if any(kind != "text" for kind in request.modalities):
        losses.lose("modalities", "the models answer in text")
    for name, nothing in _UNSAYABLE:
        if getattr(request, name) != nothing:
            losses.lose(name)
