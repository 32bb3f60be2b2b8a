"""Reads a Messages request into the canonical form."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.canonical import (
    Block,
    CacheMark,
    CountRequest,
    Document,
    Format,
    GenerateRequest,
    HostedTool,
    Image,
    Inline,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_anthropic.blocks import read_cache, read_content
from llmproxy_anthropic.errors import UnsupportedThread
from llmproxy_anthropic.reading import COUNT
from llmproxy_anthropic.thoughts import OWN
from llmproxy_anthropic.values import (
    a_body,
    a_count,
    a_list,
    a_number,
    a_text,
    a_text_or_nothing,
    a_truth,
    an_object,
    refuse,
    tell_rest,
)

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelRequest
    from llmproxy.plugin import ClientRequest
    from llmproxy_anthropic.envelopes import Call

Read = dict[str, Any]

#: How the canonical form calls what Anthropic calls so; `default` is the one tier that all providers have.
_TIERS: Final = {"standard_only": "default"}
_TOOL: Final = ("type", "name", "description", "input_schema", "strict", "cache_control")
_MODES: Final = {"auto": "auto", "any": "required", "none": "none", "tool": "required"}
_TYPICAL_IMAGE: Final = 1500


def decode_request(request: ClientRequest, body: bytes, losses: Losses) -> ModelRequest:
    """Read a call for an answer, or for a count of its tokens."""
    path = request.path.rstrip("/")
    if path.endswith("/messages"):
        return decode_generate(a_body(body), losses)
    if path.endswith(COUNT):
        return CountRequest(request=decode_generate(a_body(body), losses))
    message = "This call cannot be translated for the model's provider; messages and their token counts can."
    raise BadField("no_translation", message)


def decode_wrapped(call: Call, body: bytes, losses: Losses) -> ModelRequest:
    """Read a call that another cloud's envelope was put around: model and stream are told by the path."""
    told = a_body(body)
    if call.counts:
        return CountRequest(request=decode_generate(told, losses))
    return decode_generate({**told, "model": call.model, "stream": call.streamed}, losses)


def decode_generate(told: dict[str, Any], losses: Losses) -> GenerateRequest:
    """Read the members of a request."""
    read: Read = {"model": a_text(told.get("model"), "model")}
    if told.get("messages") is None:
        refuse("messages", "Field required")
    for key, value in told.items():
        reader = _READERS.get(key)
        if reader is None:
            if value is not None and value not in ([], {}):
                losses.add(key, "the canonical form has no place for it")
        elif value is not None:
            reader(value, read, losses)
    effort, cached = read.pop("effort", ""), read.pop("cached", None)
    if effort:
        read["thinking"] = msgspec.structs.replace(read.get("thinking") or Thinking(), effort=effort)
    _settle(read, losses)
    if cached is not None:
        read["messages"] = _marked(read["messages"], cached)
    return GenerateRequest(**read)


def estimate(request: ModelRequest) -> int:
    """Guess a conversation's tokens, from the length of its texts."""
    if isinstance(request, CountRequest):
        request = request.request
    if not isinstance(request, GenerateRequest):
        return 0
    size = sum(len(text.text) for text in request.system)
    size += sum(_size(block) for message in request.messages for block in message.content)
    size += sum(
        len(tool.description) + len(str(tool.schema)) for tool in request.tools if isinstance(tool, Tool)
    )
    return size // 4 + 1


def _size(block: Block) -> int:
    if isinstance(block, ToolResult):
        return sum(map(_size, block.content))
    if isinstance(block, ToolCall):
        return len(block.arguments)
    if isinstance(block, Image):
        return 4 * _TYPICAL_IMAGE
    if isinstance(block, Document):
        return len(block.text or "") + (
            len(block.source.data) // 4 if isinstance(block.source, Inline) else 0
        )
    return len(getattr(block, "text", ""))


def _settle(read: Read, losses: Losses) -> None:
    """Put instructions that open the conversation before it, and the names of calls to their results."""
    messages: list[Message] = read["messages"]
    opening = 0
    while opening < len(messages) and messages[opening].role == "system":
        if not all(isinstance(block, Text) for block in messages[opening].content):
            break
        moved = [_uncited(block, "messages[].content[]", losses) for block in messages[opening].content]
        if any(block.cache is not None for block in moved):
            losses.add("messages[].content[].cache_control", "it went with its text into the instructions")
        read["system"] = (*read.get("system", ()), *moved)
        opening += 1
    calls = _Calls()
    read["messages"] = tuple(calls.told(message) for message in messages[opening:])


def _uncited(block: Block, where: str, losses: Losses) -> Text:
    """Return a text of the instructions, in which citations mean nothing."""
    assert isinstance(block, Text)
    if block.citations:
        losses.add(f"{where}.citations", "citations count in answers only")
    return msgspec.structs.replace(block, citations=())


class _Calls:
    """Puts the names of calls to their results, and ids to calls that have none: some servers' answers are such."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._nameless: deque[str] = deque()

    def told(self, message: Message) -> Message:
        """Return the message as it is meant, results first."""
        if not any(isinstance(block, ToolCall | ToolResult) for block in message.content):
            return message
        blocks = [self._block(block) for block in message.content]
        blocks.sort(key=lambda block: not isinstance(block, ToolResult))
        return Message(role=message.role, content=tuple(blocks))

    def _block(self, block: Block) -> Block:
        if isinstance(block, ToolCall):
            if not block.id:
                block = msgspec.structs.replace(block, id=f"toolu_{len(self._names) + 1}")
                self._nameless.append(block.id)
            self._names[block.id] = block.name
        elif isinstance(block, ToolResult):
            name = block.id or (self._nameless.popleft() if self._nameless else "")
            block = msgspec.structs.replace(block, id=name, name=self._names.get(name, ""))
        return block


def _marked(messages: tuple[Message, ...], mark: CacheMark) -> tuple[Message, ...]:
    """Put the request's own marker where Anthropic takes it to stand: at the last block that can bear one."""
    for place in range(len(messages) - 1, -1, -1):
        blocks = list(messages[place].content)
        for at in range(len(blocks) - 1, -1, -1):
            block = blocks[at]
            if isinstance(block, Text | Image | Document | ToolCall | ToolResult):
                blocks[at] = msgspec.structs.replace(block, cache=block.cache or mark)
                marked = Message(role=messages[place].role, content=tuple(blocks))
                return (*messages[:place], marked, *messages[place + 1 :])
    return messages


def _messages(value: Any, read: Read, losses: Losses) -> None:
    messages = []
    for each in a_list(value, "messages"):
        told = an_object(each, "messages[]")
        role = told.get("role")
        if role not in ("user", "assistant", "system"):
            refuse("messages[].role", "Input should be 'user', 'assistant' or 'system'")
        if told.get("content") is None:
            refuse("messages[].content", "Field required")
        content = read_content(told["content"], "messages[].content", losses)
        messages.append(Message(role=role, content=tuple(content)))
        if len(told) > 2:
            tell_rest(told, ("role", "content"), "messages[]", losses)
    read["messages"] = messages


def _system(value: Any, read: Read, losses: Losses) -> None:
    blocks = read_content(value, "system", losses)
    if not all(isinstance(block, Text) for block in blocks):
        refuse("system[].type", "Input should be 'text'")
    read["system"] = tuple(_uncited(block, "system[]", losses) for block in blocks)


def _tools(value: Any, read: Read, losses: Losses) -> None:
    read["tools"] = tuple(_tool(an_object(each, "tools[]"), losses) for each in a_list(value, "tools"))


def _tool(told: dict[str, Any], losses: Losses) -> Tool | HostedTool:
    kind = told.get("type")
    if kind is not None and a_text(kind, "tools[].type") != "custom":
        return HostedTool(origin=OWN, kind=kind, value=told)
    schema, strict = told.get("input_schema"), told.get("strict")
    tell_rest(told, _TOOL, "tools[]", losses)
    return Tool(
        name=a_text(told.get("name"), "tools[].name"),
        description=a_text_or_nothing(told.get("description"), "tools[].description"),
        schema=None if schema is None else an_object(schema, "tools[].input_schema"),
        strict=None if strict is None else a_truth(strict, "tools[].strict"),
        cache=read_cache(told.get("cache_control"), "tools[].cache_control"),
    )


def _tool_choice(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "tool_choice")
    kind = told.get("type")
    if not isinstance(kind, str) or kind not in _MODES:
        refuse("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
    names = (a_text(told.get("name"), "tool_choice.name"),) if kind == "tool" else ()
    read["tool_choice"] = ToolChoice(mode=_MODES[kind], names=names)  # type: ignore[arg-type]  # one of the three
    alone = told.get("disable_parallel_tool_use")
    if alone is not None:
        read["parallel_tool_calls"] = not a_truth(alone, "tool_choice.disable_parallel_tool_use")
    tell_rest(told, ("type", "name", "disable_parallel_tool_use"), "tool_choice", losses)


def _thinking(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "thinking")
    kind, budget, display = told.get("type"), told.get("budget_tokens"), told.get("display")
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        refuse("thinking.type", "Input should be 'enabled', 'adaptive' or 'disabled'")
    if kind == "between_tools":
        losses.add("thinking.type", "other providers think before tools too; thinking is left to the model")
    shown = a_text_or_nothing(display, "thinking.display")
    read["thinking"] = Thinking(
        enabled=kind != "disabled",
        budget=None if budget is None else a_count(budget, "thinking.budget_tokens"),
        adaptive=kind in ("adaptive", "between_tools"),
        show="auto" if shown == "summarized" else shown,
    )
    tell_rest(told, ("type", "budget_tokens", "display"), "thinking", losses)


def _output_config(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "output_config")
    read["effort"] = a_text_or_nothing(told.get("effort"), "output_config.effort")
    if told.get("format") is not None:
        _format(told["format"], read, losses, "output_config.format")
    tell_rest(told, ("effort", "format"), "output_config", losses)


def _format(value: Any, read: Read, losses: Losses, where: str = "output_format") -> None:
    told = an_object(value, where)
    if told.get("type") != "json_schema":
        refuse(f"{where}.type", "Input should be 'json_schema'")
    schema = an_object(told.get("schema"), f"{where}.schema")
    read["format"] = Format(
        kind="schema", schema=schema, name=a_text_or_nothing(told.get("name"), f"{where}.name")
    )
    tell_rest(told, ("type", "schema", "name"), where, losses)


def _metadata(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "metadata")
    read["user"] = a_text_or_nothing(told.get("user_id"), "metadata.user_id")
    tell_rest(told, ("user_id",), "metadata", losses)


def _service_tier(value: Any, read: Read, losses: Losses) -> None:
    tier = a_text(value, "service_tier")
    read["service_tier"] = _TIERS.get(tier, tier)


def _stop(value: Any, read: Read, losses: Losses) -> None:
    told = a_list(value, "stop_sequences")
    read["stop"] = tuple(a_text(each, "stop_sequences[]") for each in told)


def _cache(value: Any, read: Read, losses: Losses) -> None:
    read["cached"] = read_cache(value, "cache_control")
    losses.add("cache_control", "it became a marker at the conversation's last block")


def _plain(key: str, name: str, reader: Callable[[Any, str], Any]) -> Callable[[Any, Read, Losses], None]:
    def take(value: Any, read: Read, losses: Losses) -> None:
        read[name] = reader(value, key)

    return take


def _read_already(value: Any, read: Read, losses: Losses) -> None:
    """The model is read first; version and betas, which other clouds want in the body, say nothing of what is asked."""


def _thread(value: Any, read: Read, losses: Losses) -> None:
    """Refuse: what a later call then leaves out would be lost."""
    raise UnsupportedThread


_READERS: Final[dict[str, Callable[[Any, Read, Losses], None]]] = {
    "model": _read_already,
    "anthropic_version": _read_already,
    "anthropic_beta": _read_already,
    "messages": _messages,
    "system": _system,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
    "output_format": _format,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "thread": _thread,
    "stop_sequences": _stop,
    "cache_control": _cache,
    "max_tokens": _plain("max_tokens", "max_tokens", a_count),
    "temperature": _plain("temperature", "temperature", a_number),
    "top_p": _plain("top_p", "top_p", a_number),
    "top_k": _plain("top_k", "top_k", a_count),
    "stream": _plain("stream", "streamed", a_truth),
}
