"""Edits told from two bodies lead from the one to the other, and cover whole JSON values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.differences import edits_between
from llmproxy.jsonscan import patch

words = st.sampled_from([b'"a"', b'"b c"', b"{", b"}", b":", b",", b" ", b"\n", b"12", b"x", b'"', b"\\"])
bodies = st.lists(words, max_size=30).map(b"".join)


@given(bodies, bodies)
def test_the_edits_turn_one_body_into_the_other(before: bytes, after: bytes) -> None:
    edits = edits_between(before, after)

    assert patch(before, [(edit.start, edit.end, edit.data) for edit in edits]) == after


@given(bodies)
def test_an_unchanged_body_has_no_edits(body: bytes) -> None:
    assert edits_between(body, body) == []


def test_an_edit_covers_a_whole_value() -> None:
    before = b'{"model": "gpt-4o", "n": 1}'
    (edit,) = edits_between(before, b'{"model": "gpt-4o-mini", "n": 1}')

    assert (before[edit.start : edit.end], edit.data) == (b'"gpt-4o"', b'"gpt-4o-mini"')


def test_two_changes_far_apart_are_two_edits() -> None:
    before = b'{"model": "a", "messages": [1, 2, 3], "stream": true}'
    after = b'{"model": "b", "messages": [1, 2, 3], "stream": true,"stream_options":{}}'

    assert [edit.data for edit in edits_between(before, after)] == [b'"b"', b',"stream_options":{}']


def test_a_change_of_a_large_body_is_told_as_one_range() -> None:
    before = b"[" + b"1," * 5000 + b"1]"
    after = before.replace(b"1", b"2")
    (edit,) = edits_between(before, after)

    assert before[: edit.start] + edit.data + before[edit.end :] == after
