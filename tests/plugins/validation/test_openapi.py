from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import Headers
from llmproxy_validation.openapi import Document
from llmproxy_validation.operations import Operation, judge_body
from llmproxy_validation.schemas import BadSchema

ORDER = {"$ref": "#/components/schemas/Order"}
SHOP: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/orders/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "parameters": [
                    {
                        "name": "fields",
                        "in": "query",
                        "explode": False,
                        "schema": {"type": "array", "items": {"enum": ["a", "b"]}},
                    },
                    {"name": "Authorization", "in": "header", "required": True, "schema": {}},
                ],
                "responses": {"200": {"$ref": "#/components/responses/Order"}, "4xx": {"description": "no"}},
            },
            "put": {"requestBody": {"$ref": "#/components/requestBodies/Order"}, "responses": {}},
        },
        "/orders/last": {"get": {"operationId": "last"}},
        "/files/{name}.{kind}": {"get": {}},
        "/~odd path/{a}": {"get": {"parameters": [{"name": "a", "in": "path", "schema": {"maxLength": 3}}]}},
    },
    "components": {
        "parameters": {
            "Id": {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"$ref": "#/components/schemas/Id"},
            }
        },
        "schemas": {
            "Id": {"type": "integer", "minimum": 1},
            "Order": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"$ref": "#/components/schemas/Id"}, "next": ORDER},
            },
        },
        "requestBodies": {
            "Order": {"required": True, "content": {"Application/JSON; v=1": {"schema": ORDER}}}
        },
        "responses": {"Order": {"content": {"application/json": {"schema": ORDER}}}},
    },
}


def operation(method: str, path: str, tree: dict[str, Any] = SHOP) -> tuple[Operation, dict[str, str]]:
    found = Document(tree).find(method, path)
    assert found is not None
    assert isinstance(found[0], Operation)
    return found[0], dict(found[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "name", "params"),
    [
        ("GET", "/orders/7", "GET /orders/{id}", {"id": "7"}),
        ("HEAD", "/orders/7", "GET /orders/{id}", {"id": "7"}),
        ("GET", "/orders/%61%2Fb", "GET /orders/{id}", {"id": "a/b"}),
        ("GET", "/orders/last", "GET /orders/last", {}),
        ("GET", "/files/a.b.txt", "GET /files/{name}.{kind}", {"name": "a.b", "kind": "txt"}),
    ],
)
def test_an_operation_is_found_by_method_and_path(
    method: str, path: str, name: str, params: dict[str, str]
) -> None:
    found, own = operation(method, path)

    assert (found.name, own) == (name, params)


def test_many_parameters_in_one_segment_take_no_longer_than_their_path_is_long() -> None:
    tiles = Document({"openapi": "3.1.0", "paths": {"/tiles/{x}-{y}-{z}-{zoom}.{kind}/raw": {"get": {}}}})
    found = tiles.find("GET", "/tiles/a-b-1-2-3.tar.gz/raw")

    assert found is not None
    assert found[1] == {"x": "a-b", "y": "1", "z": "2", "zoom": "3.tar", "kind": "gz"}
    assert tiles.find("GET", "/tiles/" + "-." * 4000 + "/row") is None  # would take days


@pytest.mark.parametrize(
    ("method", "path", "result"),
    [
        ("GET", "/nothing", None),
        ("GET", "/orders/", None),
        ("GET", "/orders/1/2", None),
        ("DELETE", "/orders/7", ("GET", "PUT")),
    ],
)
def test_what_is_not_declared_is_told(method: str, path: str, result: Any) -> None:
    assert Document(SHOP).find(method, path) == result


@pytest.mark.parametrize(
    ("path", "query", "sentences"),
    [
        ("/orders/7", "fields=a,b", []),
        ("/orders/0", "", ["path/id must be 1 at least"]),
        (
            "/orders/x",
            "fields=a,c",
            [
                "path/id must be of type integer",
                "query/fields/1 must be one of the values that the schema lists",
            ],
        ),
    ],
)
def test_parameters_of_path_and_operation_are_judged(path: str, query: str, sentences: list[str]) -> None:
    found, params = operation("GET", path)

    assert [fault.sentence for fault in found.judge_parameters(params, query, Headers(), 5)] == sentences


def test_bodies_and_answers_are_judged_through_references() -> None:
    put, _ = operation("PUT", "/orders/7")
    get, _ = operation("GET", "/orders/7")
    assert put.content is not None
    faults = judge_body(put.content["application/json"], "application/json", b'{"id":1,"next":{"id":0}}', 5)
    answer = get.reply_content(200)

    assert put.body_required
    assert [fault.pointer for fault in faults] == ["/next/id"]
    assert answer is not None
    assert answer["application/json"].checker is not None
    assert get.reply_content(404) == {}
    assert get.reply_content(500) is None


def old(schema: dict[str, Any]) -> Operation:
    parameters = [{"name": "n", "in": "query", "schema": schema}]
    tree = {"openapi": "3.0.3", "paths": {"/": {"get": {"parameters": parameters}}}}
    return operation("GET", "/", tree)[0]


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"type": "integer", "nullable": True}, "", True),
        ({"type": "integer"}, "", False),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, "3", False),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": False}, "3", True),
        ({"type": "integer", "nullable": True, "enum": [1]}, "", True),
    ],
)
def test_what_an_older_document_says_is_understood(schema: dict[str, Any], value: str, valid: bool) -> None:
    assert (old(schema).judge_parameters({}, f"n={value}", Headers(), 5) == []) is valid


def shop(**paths: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {"/": {"get": paths}}}


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({}, "no OpenAPI 3"),
        ({"swagger": "2.0"}, "no OpenAPI 3"),
        ({"openapi": "4.0.0"}, "no OpenAPI 3"),
        (shop(parameters=[{"$ref": "https://example.com/p"}]), "nothing is fetched"),
        (shop(parameters=[{"$ref": "other.yaml#/p"}]), "nothing is fetched"),
        (shop(parameters=[{"$ref": "#/nowhere"}]), "not in the document"),
        (shop(parameters=[{"$ref": "#/paths/~1/get/parameters/0"}]), "circle"),
        (shop(parameters=[{"name": "a", "in": "path", "style": "matrix"}]), "matrix"),
        (shop(parameters=[{"name": "a", "in": "body"}]), "not known"),
        (shop(parameters=[{"name": "a", "in": "query", "schema": {"type": "strng"}}]), "parameters/0/schema"),
        (
            shop(requestBody={"content": {"a/b": {"schema": {"$ref": "http://127.0.0.1/x"}}}}),
            "nothing is fetched",
        ),
        (
            shop(requestBody={"content": {"a/b": {"schema": {"items": {"$ref": "http://127.0.0.1/x"}}}}}),
            "127.0.0.1",
        ),
    ],
)
def test_a_document_that_cannot_be_judged_by_is_refused_with_its_place(
    tree: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadSchema, match=why):
        Document(tree)
