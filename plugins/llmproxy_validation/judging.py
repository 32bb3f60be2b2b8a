"""Finds the operation that a request is: by a document, or the one that a route's schemas describe."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from llmproxy.plugin import normalise_path
from llmproxy_validation.documents import load_document
from llmproxy_validation.openapi import Document
from llmproxy_validation.operations import Media, Operation
from llmproxy_validation.schemas import BadSchema, Checker

#: Answers of which a route's own schema speaks.
_GOOD = "2XX"


class Found(NamedTuple):
    """An operation and the path's parameters; or, without one, the methods that the path takes (none: no such path)."""

    operation: Operation | None
    params: Mapping[str, str]
    allowed: tuple[str, ...] = ()


class Judge:
    """What judges a route's requests; `document` None says that all are one operation."""

    def __init__(self, document: Document | None, only: Operation | None = None, base_path: str = "") -> None:
        self._document = document
        self._only = only
        self._base = normalise_path(base_path)

    def find(self, method: str, path: str, params: Mapping[str, str]) -> Found:
        """Return the operation of a request; `params` are its route's."""
        if self._document is None:
            return Found(self._only, params)
        path = normalise_path(path)
        if self._base:
            if path != self._base and not path.startswith(self._base + "/"):
                return Found(None, {})
            path = path[len(self._base) :] or "/"
        found = self._document.find(method, path)
        if found is None:
            return Found(None, {})
        if isinstance(found[0], str):
            return Found(None, {}, tuple(map(str, found)))
        operation, own = found
        return Found(operation, own if isinstance(own, Mapping) else {})


def document_judge(path: str, base_path: str) -> Judge:
    """Return what judges by a document in a file.

    Raises:
        BadSchema: it cannot be used.
    """
    try:
        status = Path(path).stat()
    except OSError as fault:
        raise BadSchema(f"{path}: {fault.strerror}") from None
    return Judge(_document(path, status.st_mtime_ns, status.st_size), base_path=base_path)


@lru_cache(maxsize=16)
def _document(path: str, changed: int, size: int) -> Document:
    """Read a document, once for all routes, workers' reloads included, while its file stays the same."""
    try:
        return Document(load_document(path))
    except BadSchema as fault:
        raise BadSchema(str(fault) if str(fault).startswith(path) else f"{path}: {fault}") from None


def schema_judge(body: Any, places: Mapping[str, Mapping[str, Any]], reply: Any) -> Judge:
    """Return what judges by schemas: of a JSON body, of parameters by their place, of answers' JSON bodies.

    Raises:
        BadSchema: one cannot be used.
    """
    parameters = [
        {
            "name": name,
            "in": place,
            "schema": schema,
            "required": place == "path" or name in told.get("required", ()),
        }
        for place, told in places.items()
        for name, schema in told.get("properties", {}).items()
    ]
    document = {"openapi": "3.1.0", "paths": {"/": {"get": {"parameters": parameters}}}}
    found = Document(document).find("GET", "/")
    assert found is not None
    assert isinstance(found[0], Operation)
    operation = Operation(
        "route",
        found[0].parameters,
        None if body is None else {"application/json": Media(_checker(body))},
        body is not None,
        None if reply is None else {_GOOD: {"application/json": Media(_checker(reply))}, "default": {}},
    )
    return Judge(None, operation)


def _checker(schema: Any) -> Checker:
    return Checker(load_document(schema) if isinstance(schema, str) else schema)
