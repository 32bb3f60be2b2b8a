from __future__ import annotations

from typing import Any

import pytest

from llmproxy_gemini.schemas import json_schema


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "TYPE_UNSPECIFIED", "description": "d"}, {"description": "d"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "ARRAY", "items": {"type": "INTEGER"}, "max_items": "3"},
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        ),
        (
            {"any_of": [{"type": "NUMBER"}], "nullable": True},
            {"anyOf": [{"type": "number"}, {"type": "null"}]},
        ),
        ({"type": "OBJECT", "example": {"a": 1}}, {"type": "object", "examples": [{"a": 1}]}),
        (
            {"defs": {"n": {"type": "OBJECT"}}, "properties": {"x": {"ref": "#/defs/n"}}},
            {"$defs": {"n": {"type": "object"}}, "properties": {"x": {"$ref": "#/$defs/n"}}},
        ),
        ({"type": ["STRING", "null"]}, {"type": ["string", "null"]}),
        ({"type": 3, "items": 4, "anyOf": 5}, {"items": 4, "anyOf": 5}),
    ],
)
def test_a_schema_means_the_same_in_json_schema(told: dict[str, Any], meant: dict[str, Any]) -> None:
    assert json_schema(told) == meant


def test_properties_stand_in_the_order_that_is_asked_for() -> None:
    told = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING"}, "b": {}, "max_items": {}},
        "property_ordering": ["b", "none", "a"],
    }

    assert list(json_schema(told)["properties"]) == ["b", "a", "max_items"]
