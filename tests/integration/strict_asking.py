"""What a request means, read by a provider of each dialect: strictly, and apart from the gateway's own reading."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

_OPENAI_NAMES = "[a-zA-Z0-9_-]{1,64}"


class Refused(Exception):
    """The provider does not take the request; `kind` is invalid, auth, rate, overloaded or missing."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass
class Call:
    """A tool call, as it stands in the conversation or in an answer."""

    id: str
    name: str
    arguments: dict[str, Any]
    signature: str = ""


@dataclass
class Turn:
    """One turn of the conversation."""

    role: str
    text: str = ""
    images: int = 0
    calls: list[Call] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)


@dataclass
class Asked:
    """A request."""

    model: str
    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    choice: str = ""
    schema: bool = False
    thinking: bool = False
    streamed: bool = False

    def turn(self, role: str) -> Turn:
        """Return the turn that is being read: neighbours of one role are one turn."""
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(Turn(role))
        return self.turns[-1]


def read_chat(body: dict[str, Any]) -> Asked:
    """Read OpenAI's chat completions."""
    asked = Asked(body["model"], streamed=bool(body.get("stream")))
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role in {"system", "developer"}:
            asked.system += _chat_text(content)
            continue
        turn = asked.turn("assistant" if role == "assistant" else "user")
        if role == "tool":
            turn.results[message["tool_call_id"]] = _chat_text(content)
            continue
        turn.text += _chat_text(content)
        turn.images += (
            sum(part["type"] == "image_url" for part in content) if isinstance(content, list) else 0
        )
        for call in message.get("tool_calls") or []:
            function = call["function"]
            turn.calls.append(Call(call["id"], function["name"], orjson.loads(function["arguments"])))
    asked.tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    asked.schema = body.get("response_format", {}).get("type") == "json_schema"
    asked.thinking = body.get("reasoning_effort") not in {None, "none"}
    choice = body.get("tool_choice", "")
    asked.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    check_names(asked, _OPENAI_NAMES)
    check_results(asked)
    return asked


def _chat_text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def read_responses(body: dict[str, Any]) -> Asked:
    """Read OpenAI's Responses."""
    asked = Asked(body["model"], system=body.get("instructions") or "", streamed=bool(body.get("stream")))
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        _read_item(asked, item)
    asked.tools = [tool["name"] for tool in body.get("tools", [])]
    asked.schema = ((body.get("text") or {}).get("format") or {}).get("type") == "json_schema"
    asked.thinking = (body.get("reasoning") or {}).get("effort") not in {None, "none"}
    choice = body.get("tool_choice", "")
    asked.choice = choice if isinstance(choice, str) else choice["name"]
    check_names(asked, _OPENAI_NAMES)
    check_results(asked)
    return asked


def _read_item(asked: Asked, item: dict[str, Any]) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        content = item["content"]
        parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
        text = "".join(part["text"] for part in parts if part["type"] in {"input_text", "output_text"})
        if item["role"] in {"system", "developer"}:
            asked.system += text
            return
        turn = asked.turn(item["role"])
        turn.text += text
        turn.images += sum(part["type"] == "input_image" for part in parts)
    elif kind == "function_call":
        call = Call(item["call_id"], item["name"], orjson.loads(item["arguments"]))
        asked.turn("assistant").calls.append(call)
    elif kind == "function_call_output":
        output = item["output"]
        text = output if isinstance(output, str) else "".join(part["text"] for part in output)
        asked.turn("user").results[item["call_id"]] = text
    elif kind == "reasoning":
        asked.turn("assistant").signatures.append(item.get("encrypted_content") or "")
    else:
        raise Refused(400, "invalid", f"unknown item {kind}")


def read_messages(body: dict[str, Any]) -> Asked:
    """Read Anthropic's Messages; refuses what that API refuses."""
    system = body.get("system") or ""
    text = system if isinstance(system, str) else "".join(block["text"] for block in system)
    asked = Asked(body["model"], system=text, streamed=bool(body.get("stream")))
    thinking = body.get("thinking") or {}
    asked.thinking = thinking.get("type") in {"enabled", "adaptive"}
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        raise Refused(400, "invalid", "max_tokens must be greater than thinking.budget_tokens, at least 1024")
    for message in body["messages"]:
        if asked.turns and asked.turns[-1].role == message["role"] == "assistant":
            raise Refused(400, "invalid", "roles must alternate")
        turn = asked.turn(message["role"])
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        kinds = [block["type"] for block in blocks]
        if asked.thinking and "tool_use" in kinds and kinds[0] not in {"thinking", "redacted_thinking"}:
            raise Refused(400, "invalid", "Expected `thinking`, but found `tool_use`, with thinking enabled")
        for block in blocks:
            _read_block(turn, block)
    asked.tools = [tool["name"] for tool in body.get("tools", [])]
    asked.schema = "format" in (body.get("output_config") or {})
    choice = body.get("tool_choice") or {}
    asked.choice = {"any": "required", "tool": choice.get("name", "")}.get(choice.get("type", ""), "")
    check_names(asked, "[a-zA-Z0-9_-]{1,128}")
    check_results(asked)
    return asked


def _read_block(turn: Turn, block: dict[str, Any]) -> None:
    kind = block["type"]
    if kind == "text":
        if not block["text"].strip():
            raise Refused(400, "invalid", "text content blocks must be non-empty")
        turn.text += block["text"]
    elif kind == "image":
        turn.images += 1
    elif kind == "tool_use":
        turn.calls.append(Call(block["id"], block["name"], block["input"]))
    elif kind == "tool_result":
        content = block.get("content") or ""
        text = content if isinstance(content, str) else "".join(part["text"] for part in content)
        turn.results[block["tool_use_id"]] = text
    elif kind == "thinking":
        turn.signatures.append(block["signature"])
    elif kind == "redacted_thinking":
        turn.signatures.append(block["data"])
    else:
        raise Refused(400, "invalid", f"unknown block {kind}")


def read_generate(body: dict[str, Any], path: str) -> Asked:
    """Read Google's generateContent: results are found by their calls' names and order."""
    model = path.rpartition("/models/")[2].rpartition(":")[0]
    asked = Asked(model, streamed=":stream" in path)
    asked.system = "".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", []))
    config = body.get("generationConfig") or {}
    asked.schema = "responseJsonSchema" in config or "responseSchema" in config
    asked.thinking = bool(config.get("thinkingConfig"))
    waiting: list[Call] = []
    for content in body["contents"]:
        turn = asked.turn("assistant" if content.get("role") == "model" else "user")
        for part in content["parts"]:
            _read_part(turn, part, waiting)
    asked.tools = [
        fn["name"] for tool in body.get("tools", []) for fn in tool.get("functionDeclarations", [])
    ]
    mode = ((body.get("toolConfig") or {}).get("functionCallingConfig")) or {}
    names = mode.get("allowedFunctionNames") or []
    asked.choice = "" if mode.get("mode") != "ANY" else names[0] if names else "required"
    check_names(asked, "[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
    check_results(asked)
    return asked


def _read_part(turn: Turn, part: dict[str, Any], waiting: list[Call]) -> None:
    if "functionCall" in part:
        made = part["functionCall"]
        call = Call(made.get("id") or f"place-{len(waiting)}", made["name"], made.get("args") or {})
        call.signature = part.get("thoughtSignature", "")
        turn.signatures += [call.signature] if call.signature else []
        turn.calls.append(call)
        waiting.append(call)
    elif "functionResponse" in part:
        told = part["functionResponse"]
        call = next(
            (call for call in waiting if call.name == told["name"] and call.id not in turn.results), None
        )
        if call is None:
            raise Refused(400, "invalid", f"no call of {told['name']} waits for a response")
        waiting.remove(call)
        response = told["response"]
        turn.results[call.id] = str(
            response.get("result", response.get("output", orjson.dumps(response).decode()))
        )
    elif "inlineData" in part or "fileData" in part:
        turn.images += 1
    elif not part.get("thought"):
        turn.text += part["text"]


def check_names(asked: Asked, taken: str) -> None:
    """The name of every tool, offered or called, must be one that the dialect takes."""
    for name in [*asked.tools, *(call.name for turn in asked.turns for call in turn.calls)]:
        if not re.fullmatch(taken, name):
            raise Refused(400, "invalid", f"the name {name!r} does not match {taken}")


def check_results(asked: Asked) -> None:
    """Every call must be answered in the next turn, and nothing else."""
    for turn, after in zip(asked.turns, [*asked.turns[1:], None], strict=True):
        if turn.calls:
            made = [call.id for call in turn.calls]
            told = list(after.results) if after is not None else []
            if sorted(made) != sorted(told):
                raise Refused(400, "invalid", f"calls {made} have results {told}")
