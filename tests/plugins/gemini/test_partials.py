from __future__ import annotations

import orjson
import pytest

from llmproxy_gemini.partials import PartialCall, steps_of


def made(*pieces: dict[str, object]) -> object:
    call = PartialCall("f", "")
    for piece in pieces:
        call.take({"partialArgs": [piece]})
    return orjson.loads(call.arguments)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$.a", ["a"]),
        ("$.a.b[0].c", ["a", "b", 0, "c"]),
        ("$['a b'][\"c\"]", ["a b", "c"]),
        ("$.größe", ["größe"]),
    ],
)
def test_a_path_names_one_place(path: str, steps: list[str | int]) -> None:
    assert steps_of(path) == steps


@pytest.mark.parametrize("path", ["", "$", "a", "$.", "$[0]", "$.a[*]", "$..a", "$.a[", "$" + ".a" * 70])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        steps_of(path)


def test_texts_grow_and_other_values_stand() -> None:
    assert made(
        {"jsonPath": "$.a", "stringValue": "Hel", "willContinue": True},
        {"jsonPath": "$.a", "stringValue": "lo", "willContinue": True},
        {"jsonPath": "$.a", "stringValue": ""},
        {"jsonPath": "$.b[1].c", "numberValue": 0.5},
        {"jsonPath": "$.d", "boolValue": False},
        {"jsonPath": "$.e", "nullValue": "NULL_VALUE"},
    ) == {"a": "Hello", "b": [None, {"c": 0.5}], "d": False, "e": None}


@pytest.mark.parametrize("path", ["$.a.b", "$.a[0]", "$.l.x", "$.l[999999]", "$.l[90]"])
def test_a_path_through_what_is_no_container_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="argument"):
        made(
            {"jsonPath": "$.a", "stringValue": "x"},
            {"jsonPath": "$.l[0]", "numberValue": 1},
            {"jsonPath": path, "boolValue": True},
        )


def test_whole_arguments_and_odd_pieces_are_taken_as_they_are() -> None:
    call = PartialCall("", "")

    call.take({"name": "f", "id": "c", "args": {"a": 1}, "partialArgs": 3})
    call.take({"name": 3, "partialArgs": [4]})

    assert (call.name, call.id, call.arguments) == ("f", "c", '{"a":1}')
