"""Lists of fallbacks: by name, by the kind of failure, by default."""

from __future__ import annotations

from typing import Any

from llmproxy.importing.fallbacks import Fallbacks
from llmproxy.importing.walking import Note, Walk


def read(router: Any, library: Any = None) -> tuple[Fallbacks, list[str]]:
    notes: list[Note] = []
    found = Fallbacks(Walk(router, "r", notes), Walk(library or {}, "l", notes))
    return found, [note.path for note in notes]


def told(found: Fallbacks, name: str) -> list[tuple[str, str]]:
    return [(each.name, each.kind) for each in found.of(name)]


def test_general_ones_come_before_those_of_a_kind() -> None:
    found, _ = read(
        {
            "context_window_fallbacks": [{"a": ["long"]}],
            "fallbacks": [{"a": ["b", "c"]}, {"b": "c"}],
        },
        {"content_policy_fallbacks": [{"a": ["mild"]}]},
    )

    assert told(found, "a") == [("b", ""), ("c", ""), ("long", "window"), ("mild", "policy")]
    assert told(found, "b") == [("c", "")]
    assert found.of("a")[1].path == "r.fallbacks[0].a[1]"


def test_a_default_stands_for_who_has_none() -> None:
    found, _ = read({"fallbacks": [{"a": ["b"]}, {"*": ["e"]}]}, {"default_fallbacks": ["d", 1]})

    assert told(found, "a") == [("b", "")]
    assert told(found, "x") == [("e", ""), ("d", "")]
    assert told(found, "d") == [("e", "")]


def test_lines_are_as_long_as_the_file_says() -> None:
    names = [f"m{number}" for number in range(9)]

    assert len(read({"fallbacks": [{"a": names}]})[0].of("a")) == 5
    assert len(read({"fallbacks": [{"a": names}], "max_fallbacks": 2})[0].of("a")) == 2


def test_what_is_no_name_is_told() -> None:
    _, paths = read({"fallbacks": ["a", {"b": [{"model": "c"}, "d"]}]})

    assert paths == ["r.fallbacks[0]", "r.fallbacks[1].b[0]"]
