from __future__ import annotations

import sys
from typing import Any

import pytest

from llmproxy_validation import schemas
from llmproxy_validation.schemas import BadSchema, Checker, registry_of

LIST = {"type": "array", "items": {"type": "integer"}}


def test_what_is_valid_has_no_faults() -> None:
    assert Checker(LIST).check([1, 2], "body", 5) == ()


def test_the_first_mistakes_are_told_and_no_more() -> None:
    faults = Checker(LIST).check(["a"] * 9, "body", 3)

    assert [fault.pointer for fault in faults] == ["/0", "/1", "/2"]


def test_of_a_large_value_one_mistake_is_looked_for() -> None:
    assert len(Checker(LIST).check(["a"] * 9, "body", 3, size=schemas.MANY_UP_TO + 1)) == 1


def test_a_schema_refers_into_its_document() -> None:
    registry = registry_of(
        {
            "components": {
                "schemas": {"N": {"items": {"$ref": "#/components/schemas/I"}}, "I": {"type": "integer"}}
            }
        }
    )
    checker = Checker({"$ref": "urn:document#/components/schemas/N"}, registry)

    assert [fault.pointer for fault in checker.check([1, "a"], "body", 5)] == ["/1"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json"},
        {"$ref": "#/nowhere"},
        {"$schema": "https://example.com/meta"},
        {"type": "strng"},
        {"pattern": "("},
        {"pattern": "(?=look)"},
        {"pattern": r"(a)\1"},
        [],
        "text",
    ],
)
def test_what_is_elsewhere_or_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(BadSchema, match=r"\w"):
        Checker(schema)


def test_an_older_draft_counts_where_it_is_named() -> None:
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}

    assert len(Checker(old).check(["a"], "body", 5)) == 1


def test_an_expression_takes_linear_time() -> None:
    # Backtracking would try 2**50000 ways.
    assert len(Checker({"pattern": "^(a+)+$"}).check("a" * 50_000 + "!", "body", 1)) == 1


def test_without_its_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    with pytest.raises(BadSchema, match=r"llmproxy-gateway\[validation\]"):
        Checker({})
