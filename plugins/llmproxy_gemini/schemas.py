"""Google's Schema, a subset of OpenAPI 3.0 with types in capitals, as JSON Schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llmproxy_gemini.fields import camel

_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_DROPPED: Final = frozenset({"propertyOrdering", "nullable"})
_NAMES: Final = {"defs": "$defs", "ref": "$ref"}


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return JSON Schema that means the same; the order of properties is that of `propertyOrdering`."""
    told = {camel(key) if "_" in key else key: value for key, value in schema.items() if value is not None}
    written: dict[str, Any] = {}
    for key, value in told.items():
        if key in _DROPPED:
            continue
        if key == "type":
            kind = _type(value)
            if kind is not None:
                written["type"] = kind
        elif key == "format" and value == "enum":
            continue
        elif key == "example":
            written["examples"] = [value]
        else:
            written[_NAMES.get(key, key)] = _value(key, value, told.get("propertyOrdering"))
    if told.get("nullable") is True:
        _allow_null(written)
    return written


def _type(kind: object) -> object:
    if isinstance(kind, list):
        return [each.lower() if isinstance(each, str) else each for each in kind]
    if not isinstance(kind, str):
        return None
    return None if kind == "TYPE_UNSPECIFIED" else kind.lower()


def _value(key: str, value: Any, ordering: object) -> Any:
    if key in ("properties", "defs", "$defs") and isinstance(value, dict):
        return {name: _inner(value[name]) for name in _ordered(value, ordering)}
    if key in _INNER:
        return _INNER[key](value)
    if key in _COUNTS and isinstance(value, str) and value.isdigit():
        return int(value)  # proto JSON writes 64 bits as text
    if key == "ref" and isinstance(value, str):
        return value.replace("#/defs/", "#/$defs/")
    return value


def _ordered(properties: dict[str, Any], ordering: object) -> list[str]:
    first = [name for name in ordering if isinstance(name, str)] if isinstance(ordering, list) else []
    known = dict.fromkeys(name for name in first if name in properties)
    return [*known, *(name for name in properties if name not in known)]


def _inner(schema: Any) -> Any:
    return json_schema(schema) if isinstance(schema, dict) else schema


def _each(schemas: Any) -> Any:
    return [_inner(schema) for schema in schemas] if isinstance(schemas, list) else schemas


_INNER: Final[dict[str, Callable[[Any], Any]]] = {
    "items": _inner,
    "additionalProperties": _inner,
    "anyOf": _each,
    "oneOf": _each,
    "allOf": _each,
    "prefixItems": _each,
}


def _allow_null(schema: dict[str, Any]) -> None:
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif "anyOf" in schema and isinstance(schema["anyOf"], list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
