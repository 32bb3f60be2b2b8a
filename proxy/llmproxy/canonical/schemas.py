"""Puts a JSON Schema into the part of the language that Claude models keep to.

Objects must be closed, and bounds of numbers and lengths are refused; what is taken out is told to the model in the
description (as Anthropic's own SDKs do).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from llmproxy.canonical.losses import Losses
    from llmproxy.canonical.requests import Format

_KEPT: Final = frozenset(
    {
        "$ref",
        "$defs",
        "definitions",
        "type",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "description",
        "title",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "format",
        "minItems",
        "default",
    }
)
# What says nothing of the answer.
_IDLE: Final = frozenset({"$schema", "$id", "$comment", "examples", "propertyOrdering"})
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_LISTS: Final = ("anyOf", "allOf")
_TABLES: Final = ("properties", "$defs", "definitions")
_DEEPEST: Final = 64
_JSON_ONLY: Final = "Answer with one valid JSON value and nothing else: no code fence, no words around it."


def asked_in_words(form: Format, losses: Losses) -> str:
    """Return an instruction that asks a model for JSON that has no mode for it."""
    text = _JSON_ONLY
    if form.schema is not None:
        losses.lose("format.schema", "the model takes none, so the instructions show it")
        text += f" It must fit this JSON Schema:\n{orjson.dumps(form.schema).decode()}"
    losses.lose("format", "the model has no such mode, so the instructions ask for JSON")
    return text


def taken(schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the schema as Anthropic takes it; the very same object where it does as it is."""
    if depth > _DEEPEST:
        return schema
    out: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _IDLE:
            continue
        if key not in _KEPT or _refused(key, value):
            told[key] = value
        elif key == "oneOf":
            out["anyOf"] = _each(value, depth)
        elif key in _LISTS:
            out[key] = _each(value, depth)
        elif key in _TABLES:
            out[key] = (
                {name: _taken(each, depth) for name, each in value.items()}
                if isinstance(value, dict)
                else value
            )
        else:
            out[key] = _taken(value, depth) if key == "items" else value
    if _is_object(out) and out.get("additionalProperties") is not False:
        out["additionalProperties"] = False
    if told:
        out["description"] = _described(out.get("description"), told)
    return schema if out == schema else out


def _taken(value: Any, depth: int) -> Any:
    return taken(value, depth + 1) if isinstance(value, dict) else value


def _each(value: Any, depth: int) -> Any:
    return [_taken(each, depth) for each in value] if isinstance(value, list) else value


def _refused(key: str, value: Any) -> bool:
    if key == "minItems":
        return value not in (0, 1)
    return key == "format" and not (isinstance(value, str) and value in _FORMATS)


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or "properties" in schema or (isinstance(kind, list) and "object" in kind)


def _described(description: Any, told: dict[str, Any]) -> str:
    rules = "{" + ", ".join(f"{key}: {_written(value)}" for key, value in told.items()) + "}"
    return f"{description}\n\n{rules}" if isinstance(description, str) and description else rules


def _written(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
