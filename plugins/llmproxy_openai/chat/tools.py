"""Tools of a request and which of them may be called; read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import HostedTool, Tool, ToolChoice
from llmproxy.canonical.fields import flag, members, objects, required_text, rest, text, wrong
from llmproxy_openai.chat.parts import read_mark, write_mark

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses
    from llmproxy.plugin import Quirks

_TOOL: Final = frozenset({"type", "function", "cache_control"})
_FUNCTION: Final = frozenset({"name", "description", "parameters", "strict", "cache_control"})
_CUSTOM: Final = frozenset({"name", "description", "format"})
_MODES: Final = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def read_tools(asked: dict[str, Any], losses: Losses) -> tuple[Tool | HostedTool, ...]:
    """Read `tools`, and `functions`, as they were once called."""
    tools = [_read_tool(item, losses) for item in objects(asked, "tools")]
    old = [_read_function(item, "functions[].", losses) for item in objects(asked, "functions")]
    return (*tools, *old)


def _read_tool(item: dict[str, Any], losses: Losses) -> Tool | HostedTool:
    kind = text(item, "type", "tools[].") or "function"
    if kind == "custom":
        return _read_custom(item, losses)
    if kind != "function":
        return HostedTool("openai", kind, item)
    rest(item, _TOOL, "tools[].", losses)
    function = members(item, "function", "tools[].")
    if function is None:
        raise wrong("tools[].function", "an object")
    marked = item if "cache_control" in item else function
    return _read_function(function, "tools[].function.", losses, marked)


def _read_function(
    function: dict[str, Any], at: str, losses: Losses, marked: dict[str, Any] | None = None
) -> Tool:
    rest(function, _FUNCTION, at, losses)
    return Tool(
        required_text(function, "name", at),
        text(function, "description", at),
        members(function, "parameters", at),
        flag(function, "strict", at),
        read_mark(marked or function, at),
    )


def _read_custom(item: dict[str, Any], losses: Losses) -> HostedTool:
    """Read a tool that takes free text; its canonical value is as the Responses API has it."""
    custom = members(item, "custom", "tools[].") or {}
    rest(item, frozenset({"type", "custom"}), "tools[].", losses)
    rest(custom, _CUSTOM, "tools[].custom.", losses)
    value: dict[str, Any] = {"type": "custom", "name": required_text(custom, "name", "tools[].custom.")}
    if description := text(custom, "description", "tools[].custom."):
        value["description"] = description
    form = members(custom, "format", "tools[].custom.")
    if form is not None:
        grammar = members(form, "grammar", "tools[].custom.format.") or {}
        value["format"] = {**{key: form[key] for key in form if key != "grammar"}, **grammar}
    return HostedTool("openai", "custom", value)


def read_choice(asked: dict[str, Any], losses: Losses) -> ToolChoice | None:
    """Read `tool_choice`, and `function_call`, as it was once called."""
    choice = asked.get("tool_choice")
    if choice is None:
        choice = asked.get("function_call")
        if type(choice) is dict:
            return ToolChoice("required", (required_text(choice, "name", "function_call."),))
    if choice is None:
        return None
    if type(choice) is str and choice in _MODES:
        return ToolChoice(_mode(choice))
    if type(choice) is not dict:
        raise wrong("tool_choice", "'auto', 'none', 'required' or an object")
    kind = text(choice, "type", "tool_choice.")
    if kind == "allowed_tools":
        return _allowed(choice, losses)
    if kind not in ("function", "custom"):
        losses.add(
            "tool_choice", "a tool that the provider runs can only be forced in the provider's own API"
        )
        return None
    rest(choice, frozenset({"type", kind}), "tool_choice.", losses)
    named = members(choice, kind, "tool_choice.") or {}
    return ToolChoice("required", (required_text(named, "name", f"tool_choice.{kind}."),))


def _mode(word: str) -> Any:
    return _MODES[word]


def _allowed(choice: dict[str, Any], losses: Losses) -> ToolChoice:
    at = "tool_choice.allowed_tools."
    allowed = members(choice, "allowed_tools", "tool_choice.") or {}
    mode = text(allowed, "mode", at)
    if mode not in ("auto", "required"):
        raise wrong(f"{at}mode", "'auto' or 'required'")
    names = []
    for item in objects(allowed, "tools", at):
        kind = text(item, "type", f"{at}tools[].")
        named = item.get(kind)
        if type(named) is dict:
            names.append(required_text(named, "name", f"{at}tools[].{kind}."))
        else:
            losses.add(f"{at}tools[]", "a tool that the provider runs has no name to allow it by")
    return ToolChoice(_mode(mode), tuple(names))


def write_tools(request: GenerateRequest, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    """Write `tools`, `tool_choice` and `parallel_tool_calls`.

    Where the choice is between some of the tools, the others are not told of: few providers know another way.
    """
    choice = request.tool_choice
    allowed = choice.names if choice is not None else ()
    forced = choice is not None and choice.mode == "required" and len(allowed) == 1
    tools = [
        _write_tool(tool, quirks, losses) for tool in request.tools if forced or _is_allowed(tool, allowed)
    ]
    tools = [tool for tool in tools if tool is not None]
    if not tools:
        if choice is not None and choice.mode == "required":
            losses.lose("tool_choice", "there is no tool that the provider could call")
        return
    body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = _write_choice(choice, allowed[0] if forced else None, tools, quirks)
    if request.parallel_tool_calls is not None:
        if "parallel_tool_calls" in quirks.refused:
            losses.lose("parallel_tool_calls")
        else:
            body["parallel_tool_calls"] = request.parallel_tool_calls


def _is_allowed(tool: Tool | HostedTool, names: tuple[str, ...]) -> bool:
    name = tool.name if isinstance(tool, Tool) else tool.value.get("name")
    return not names or name in names


def _write_choice(
    choice: ToolChoice, name: str | None, tools: list[dict[str, Any] | None], quirks: Quirks
) -> str | dict[str, Any]:
    if name is None:
        return quirks.required if choice.mode == "required" else choice.mode
    custom = any(t is not None and t["type"] == "custom" and t["custom"]["name"] == name for t in tools)
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": name}}


def _write_tool(tool: Tool | HostedTool, quirks: Quirks, losses: Losses) -> dict[str, Any] | None:
    if isinstance(tool, HostedTool):
        return _write_custom(tool, losses)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None and "tools.strict" in quirks.refused:
        losses.lose("tools.strict")
    elif tool.strict is not None:
        function["strict"] = tool.strict
    item: dict[str, Any] = {"type": "function", "function": function}
    if tool.cache is not None and not write_mark(item, tool.cache, _of_tools(quirks)):
        losses.lose("tools.cache")
    return item


def _of_tools(quirks: Quirks) -> tuple[str, ...]:
    return ("cache_control",) if "cache_control" in quirks.extras else ()


def _write_custom(tool: HostedTool, losses: Losses) -> dict[str, Any] | None:
    if tool.origin != "openai" or tool.kind != "custom":
        losses.lose("tools.hosted", f"the provider does not run {tool.kind!r}")
        return None
    custom: dict[str, Any] = {key: tool.value[key] for key in ("name", "description") if key in tool.value}
    if tool.value.keys() - (_CUSTOM | {"type"}):
        losses.lose("tools.hosted", "such a tool has a name, a description and a format here, and no more")
    form = tool.value.get("format")
    if type(form) is dict and form.get("type") == "grammar":
        custom["format"] = {"type": "grammar", "grammar": {k: v for k, v in form.items() if k != "type"}}
    elif form is not None:
        custom["format"] = form
    return {"type": "custom", "custom": custom}
