from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_validation.config import ValidationConfig, ValidationRoute


@pytest.mark.parametrize(
    ("kind", "tree", "path", "problem"),
    [
        (ValidationRoute, {"openapi": "/none.yaml"}, "openapi", "No such file"),
        (ValidationRoute, {"openapi": "/none.yaml", "request": {}}, "openapi", "beside schemas"),
        (ValidationRoute, {"base_path": "v1"}, "base_path", "no prefix"),
        (ValidationRoute, {"base_path": "/v1/"}, "base_path", "no prefix"),
        (ValidationRoute, {"replies": "log"}, "replies", "nothing says"),
        (ValidationRoute, {"request": {"body": {"type": "strng"}}}, "request", "strng"),
        (
            ValidationRoute,
            {"request": {"query": {"properties": {"a": {"pattern": "("}}}}},
            "request",
            "query|parameters",
        ),
        (ValidationRoute, {"reply": {"$ref": "https://example.com/a"}}, "reply", "example.com"),
        (ValidationConfig, {"errors": 0}, "errors", "1"),
        (ValidationConfig, {"errors": 51}, "errors", "50"),
    ],
)
def test_a_mistake_is_told_by_its_key(kind: Any, tree: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        decode_struct(kind, tree, "")

    [error] = caught.value.errors
    assert error.path == path
    assert any(word in str(error) for word in problem.split("|"))


def test_a_route_that_says_nothing_is_not_judged() -> None:
    assert ValidationRoute().judge() is None
    assert decode_struct(ValidationRoute, {"reply": {}}).judge() is not None
