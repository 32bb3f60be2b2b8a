from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy_validation.faults import Fault, detail_of, pointer_of
from llmproxy_validation.schemas import Checker


@pytest.mark.parametrize(
    ("schema", "value", "detail"),
    [
        ({"required": ["a"]}, {}, "lacks 'a'"),
        ({"type": "integer"}, "SECRET", "must be of type integer"),
        ({"type": ["integer", "null"]}, "SECRET", "must be of type integer or null"),
        ({"enum": [1]}, "SECRET", "must be one of the values that the schema lists"),
        ({"const": 1}, "SECRET", "must be the value that the schema names"),
        ({"format": "date"}, "SECRET", "must be of the format date"),
        ({"pattern": "^a$"}, "SECRET", "must match the schema's pattern"),
        ({"minLength": 9}, "SECRET", "must have 9 characters at least"),
        ({"maxLength": 1}, "SECRET", "must have 1 characters at most"),
        ({"minItems": 3}, ["SECRET"], "must have 3 items at least"),
        ({"maxItems": 0}, ["SECRET"], "must have 0 items at most"),
        ({"minProperties": 3}, {"SECRET": 1}, "must have 3 members at least"),
        ({"maxProperties": 0}, {"SECRET": 1}, "must have 0 members at most"),
        ({"minimum": 3}, 1, "must be 3 at least"),
        ({"maximum": 3}, 4, "must be 3 at most"),
        ({"exclusiveMinimum": 3}, 3, "must be more than 3"),
        ({"exclusiveMaximum": 3}, 3, "must be less than 3"),
        ({"multipleOf": 3}, 4, "must be a multiple of 3"),
        ({"uniqueItems": True}, ["SECRET", "SECRET"], "must not have an item twice"),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"SECRET": 1},
            "has members that the schema does not know",
        ),
        ({"unevaluatedProperties": False}, {"SECRET": 1}, "has members that the schema does not know"),
        ({"unevaluatedItems": False}, ["SECRET"], "has items that the schema does not know"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"SECRET": 1},
            "has a member whose name the schema does not allow",
        ),
        ({"contains": {"type": "null"}}, ["SECRET"], "lacks an item that the schema wants"),
        ({"anyOf": [{"type": "null"}]}, "SECRET", "fits none of the schema's alternatives"),
        ({"oneOf": [{"type": "null"}]}, "SECRET", "fits none of the schema's alternatives"),
        ({"oneOf": [{}, {}]}, "SECRET", "fits more than one of the schema's alternatives"),
        ({"not": {}}, "SECRET", "is what the schema forbids"),
        (False, "SECRET", "is not allowed here"),
    ],
)
def test_each_mistake_is_told_without_its_value(schema: Any, value: Any, detail: str) -> None:
    assert [fault.detail for fault in Checker(schema).check(value, "body", 9)] == [detail]


def test_what_is_not_known_is_told_all_the_same() -> None:
    assert detail_of(SimpleNamespace()) == "does not fit the schema"

    class Required:
        pass

    assert detail_of(Required()) == "does not fit the schema"


def test_a_pointer_is_escaped_and_bounded() -> None:
    assert pointer_of(["a/b", 0, "~"]) == "/a~1b/0/~0"
    assert pointer_of([]) == ""
    assert len(pointer_of(["x" * 999])) == 203


def test_a_fault_reads_as_a_sentence() -> None:
    assert Fault("query", "/limit", "is missing").sentence == "query/limit is missing"
