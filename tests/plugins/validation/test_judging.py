from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.plugin import Headers
from llmproxy_validation.judging import Judge, document_judge, schema_judge
from llmproxy_validation.schemas import BadSchema

DOCUMENT: dict[str, Any] = {"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}


def written(folder: Path, tree: Any = DOCUMENT) -> str:
    path = folder / "api.json"
    path.write_bytes(orjson.dumps(tree))
    return str(path)


@pytest.mark.parametrize(
    ("method", "path", "name", "allowed"),
    [
        ("GET", "/v1/a", "GET /a", ()),
        ("GET", "/%761/%61", "GET /a", ()),
        ("POST", "/v1/a", None, ("GET",)),
        ("GET", "/v1/b", None, ()),
        ("GET", "/a", None, ()),
        ("GET", "/v1", None, ()),
        ("GET", "/v10/a", None, ()),
    ],
)
def test_an_operation_is_found_behind_the_base_path(
    tmp_path: Path, method: str, path: str, name: str | None, allowed: tuple[str, ...]
) -> None:
    found = document_judge(written(tmp_path), "/v1").find(method, path, {})

    assert (found.operation and found.operation.name, found.allowed) == (name, allowed)


def test_a_document_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path)
    first, second = document_judge(path, ""), document_judge(path, "/x")
    os.utime(path, (1, 1))
    third = document_judge(path, "")

    assert first._document is second._document
    assert first._document is not third._document


def test_a_document_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSchema, match=r"none\.json: No such file"):
        document_judge(str(tmp_path / "none.json"), "")
    with pytest.raises(BadSchema, match=r"api\.json: is no OpenAPI"):
        document_judge(written(tmp_path, {}), "")


def test_schemas_are_one_operation() -> None:
    judge = schema_judge(
        {"type": "object"},
        {
            "query": {"properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "path": {"properties": {"id": {"type": "integer"}}},
        },
        {"type": "array"},
    )
    found = judge.find("POST", "/anything", {"id": "x"})
    assert found.operation is not None
    faults = found.operation.judge_parameters(found.params, "", Headers(), 5)

    assert sorted(fault.sentence for fault in faults) == [
        "path/id must be of type integer",
        "query/n is missing",
    ]
    assert found.operation.body_required
    assert found.operation.reply_content(404) == {}


def test_a_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, {"type": "object"})

    assert schema_judge(path, {}, None).find("GET", "/", {}).operation is not None
    with pytest.raises(BadSchema, match="none"):
        schema_judge(str(tmp_path / "none"), {}, None)


def test_a_route_without_anything_has_no_operation() -> None:
    assert Judge(None).find("GET", "/", {}).operation is None
