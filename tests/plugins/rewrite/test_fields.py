from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, Headers
from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.fields import edit_headers, plain

BEFORE = [
    ("X-User", "ann"),
    ("x_user", "eve"),
    ("X-A", "1"),
    ("X-A", "2"),
    ("X-Internal-One", "i"),
    ("Accept", "*/*"),
]


def edited(edits: Edits, value: str | None = None) -> list[tuple[str, str]]:
    headers = Headers.of(BEFORE)
    edit_headers(headers, edits, lambda kind, name: value)
    return list(headers)


def test_a_name_is_removed_in_every_spelling() -> None:
    assert [name for name, _ in edited(Edits(["x-USER"]))] == ["X-A", "X-A", "X-Internal-One", "Accept"]


def test_a_star_removes_what_begins_so() -> None:
    assert [name for name, _ in edited(Edits(["X-*"]))] == ["Accept"]


def test_a_star_leaves_what_frames_a_message() -> None:
    fields = [
        ("Content-Length", "3"),
        ("Content-Type", "x"),
        ("content_encoding", "gzip"),
        ("Connection", "close"),
    ]
    headers = Headers.of(fields)
    edit_headers(headers, Edits(["con*"]), lambda kind, name: None)

    assert [name for name, _ in headers] == ["Content-Length", "content_encoding", "Connection"]


def test_a_renamed_field_keeps_its_values_and_stands_alone() -> None:
    headers = Headers.of([("X-A", "1"), ("x-a", "2"), ("X-B", "old")])
    edit_headers(headers, Edits(rename={"X-A": "X-B", "X-C": "X-D"}), lambda kind, name: None)

    assert list(headers) == [("X-B", "1"), ("X-B", "2")]


def test_what_is_set_stands_alone_whatever_the_caller_sent() -> None:
    result = edited(Edits(set_={"X-User": "{caller.key}"}), "web")

    assert [value for name, value in result if plain(name.encode()) == "x-user"] == ["web"]


def test_what_cannot_be_set_is_not_the_callers_either() -> None:
    result = edited(Edits(set_={"X-User": "{caller.key}"}), None)

    assert [value for name, value in result if plain(name.encode()) == "x-user"] == []


def test_what_is_added_stands_beside_what_is_there() -> None:
    assert edited(Edits(add={"X-A": "3"}))[-1] == ("X-A", "3")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\x1bb", "a\x7fb"])
def test_a_value_never_makes_another_field(value: str) -> None:
    with pytest.raises(BadRequest, match="control character"):
        edited(Edits(set_={"X-User": "{path.id}"}), value)


def test_a_value_that_makes_no_field_of_an_answer_is_left_out() -> None:
    headers = Headers.of(BEFORE)
    edits = Edits(["accept"], set_={"X-User": "{path.id}", "X-B": "b"})
    edit_headers(headers, edits, lambda kind, name: "a\r\nX-Evil: 1", lenient=True)

    assert [name for name, _ in headers] == ["X-A", "X-A", "X-Internal-One", "X-B"]


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_value_is_written_whole_or_refused(value: str) -> None:
    headers = Headers()
    try:
        edit_headers(headers, Edits(set_={"X-User": "{path.id}"}), lambda kind, name: value)
    except (BadRequest, UnicodeEncodeError):
        return

    assert headers.raw == [(b"X-User", value.encode("utf-8", "surrogateescape"))]
