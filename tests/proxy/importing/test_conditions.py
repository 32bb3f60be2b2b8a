"""Portkey's queries in CEL."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.conditions import Untold, cel_of

METADATA = (
    r'"x-portkey-metadata" in headers && headers["x-portkey-metadata"]'
    r'.matches("\"plan\\-1\"\\s*:\\s*\"pro\\ max\"")'
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"params.model": "fastest"}, 'model == "fastest"'),
        ({"params.model": "${env:HOME}"}, 'model == "$${env:HOME}"'),
        ({"url.pathname": {"$regex": "${file:/etc/passwd}"}}, 'path.matches("$${file:/etc/passwd}")'),
        ({"params.model": {"$ne": 'a"b'}}, r'!(model == "a\"b")'),
        ({"params.model": {"$in": ["a", "b"]}}, '(model == "a") || (model == "b")'),
        ({"params.model": {"$nin": ["a"]}}, '!(model == "a")'),
        (
            {"params.model": {"$regex": "^gpt-", "$ne": "gpt-4"}},
            '(model.matches("^gpt-")) && (!(model == "gpt-4"))',
        ),
        ({"params.stream": True}, "streamed"),
        ({"params.stream": {"$ne": True}}, "!(streamed)"),
        (
            {"url.pathname": "/v1/embeddings", "params.stream": False},
            '(path == "/v1/embeddings") && (!streamed)',
        ),
        (
            {"$and": [{"params.model": "a"}, {"$or": [{"params.stream": True}, {"url.pathname": "/x"}]}]},
            '(model == "a") && ((streamed) || (path == "/x"))',
        ),
        (
            {"metadata.plan-1": "pro max"},
            METADATA,
        ),
    ],
)
def test_a_query_becomes_an_expression(query: Any, expected: str) -> None:
    assert cel_of(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        {},
        [],
        None,
        {"params.temperature": {"$gt": 1}},
        {"params.model": {"$gt": "a"}},
        {"params.model": {"$regex": "(?=a)"}},
        {"params.model": {"$regex": "("}},
        {"params.model": {"$regex": "(" * 3000 + ")" * 3000}},
        {"params.model": 3},
        {"params.model": {}},
        {"params.model": "\ud800"},
        {"params.stream": "yes"},
        {"metadata.a": {"$regex": "x"}},
        {"metadata.a": 'quoted "text"'},
        {"metadata.ä": "x"},
        {"headers.x": "y"},
    ],
)
def test_what_cannot_be_asked_is_told(query: Any) -> None:
    with pytest.raises(Untold):
        cel_of(query)


def test_queries_are_not_endlessly_deep() -> None:
    query: Any = {"params.model": "a"}
    for _ in range(10):
        query = {"$and": [query]}

    with pytest.raises(Untold, match="within one another"):
        cel_of(query)
