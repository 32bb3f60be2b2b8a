from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.entities import Told, read_answer


def _told(**answer: Any) -> Told:
    told = read_answer(orjson.dumps(answer))
    assert told is not None
    return told


def test_entities_are_found_wherever_they_stand() -> None:
    product = {"__typename": "Product", "id": "1", "maker": {"__typename": "Maker", "_id": 7}}
    told = _told(data={"page": {"list": [product, {"__typename": "Product", "id": "2"}], "count": 2}})

    assert set(told.entities) == {("Product", "1"), ("Product", "2"), ("Maker", "7")}
    assert set(told.tags) == {"Product:1", "Product:2", "Product", "Maker:7", "Maker"}
    assert set(told.changed(by_type=False)) == {"Product:1", "Product:2", "Maker:7"}
    assert set(told.changed(by_type=True)) == {"Product", "Maker"}


def test_an_object_without_an_id_is_known_by_its_type_alone() -> None:
    told = _told(data={"__typename": "Query", "a": {"id": 1}, "b": {"__typename": "T", "id": True}})

    assert set(told.tags) == {"Query", "T"}
    assert told.changed(by_type=False) == ()


@pytest.mark.parametrize(
    ("answer", "executed", "flawless"),
    [
        ({"data": {"a": 1}}, True, True),
        ({"data": {"a": 1}, "errors": []}, True, True),
        ({"data": {"a": 1}, "errors": [{"message": "x"}]}, True, False),
        ({"data": None}, True, False),
        ({"errors": [{"message": "x"}]}, False, False),
        ({"data": {"a": 1}, "hasNext": True}, True, False),
    ],
)
def test_what_was_executed_and_what_went_well(answer: Any, executed: bool, flawless: bool) -> None:
    told = _told(**answer)

    assert (told.executed, told.flawless) == (executed, flawless)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"data"', b'{"message": "no"}'])
def test_what_is_no_answer_tells_nothing(body: bytes) -> None:
    assert read_answer(body) is None


def test_an_answer_too_large_to_look_through_tells_nothing() -> None:
    assert read_answer(orjson.dumps({"data": [[] for _ in range(200_000)]})) is None


_DATA = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["__typename", "id", "_id", "a", "b"]), inner, max_size=4)
    ),
)


@given(data=_DATA)
def test_any_answer_can_be_read(data: Any) -> None:
    told = read_answer(orjson.dumps({"data": data}))

    assert told is not None
    assert set(told.changed(by_type=False)) <= set(told.tags)
