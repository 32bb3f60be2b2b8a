"""Custom tools, which take a text as it is: to models of other providers they are functions with one text argument.

A grammar that the text must follow is told to the model in words; nobody holds it to that.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import Losses, Tool
from llmproxy_openai.responses.reading import needed, table, text, unread

_INPUT: Final = "input"
_SCHEMA: Final = {
    "type": "object",
    "properties": {_INPUT: {"type": "string", "description": "The tool's whole input, as it is."}},
    "required": [_INPUT],
    "additionalProperties": False,
}


def read_custom(told: dict[str, Any], losses: Losses) -> Tool:
    """Return the function that stands for a custom tool."""
    unread(told, ("type", "name", "description", "format"), "tools[]", losses)
    description = text(told.get("description"), "tools[].description")
    form = table(told.get("format"), "tools[].format")
    if form.get("type") == "grammar":
        losses.add("tools[].format", "the model is told of the grammar, and not held to it")
        syntax = text(form.get("syntax"), "tools[].format.syntax")
        grammar = text(form.get("definition"), "tools[].format.definition")
        description += f"\n\nThe input must follow this grammar ({syntax}):\n{grammar}"
    return Tool(name=needed(told.get("name"), "tools[].name"), description=description, schema=dict(_SCHEMA))


def custom_names(tools: Any) -> frozenset[str]:
    """Return the names of the custom tools among those that a caller offers."""
    return frozenset(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and tool.get("type") == "custom" and isinstance(tool.get("name"), str)
    )


def arguments_of(given: str) -> str:
    """Return a custom tool's input as the arguments of a function."""
    return orjson.dumps({_INPUT: given}).decode()


def input_of(arguments: str) -> str:
    """Return the input that a model gave in a function's arguments; arguments of another form are the input."""
    try:
        told = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    if told == {}:
        return ""
    given = told.get(_INPUT) if isinstance(told, dict) else None
    return given if isinstance(given, str) else arguments
