from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_demo import words

texts = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("  \n", 0),
        ("one two", 2),
        ("Don't!", 4),
        ("snake_case 3.14", 4),
        ("日本 語", 2),
        ("🎉🎉", 2),
    ],
)
def test_words_and_marks_are_tokens(text: str, tokens: int) -> None:
    assert words.count_tokens(text) == tokens


@given(texts)
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(words.pieces(text)) == text


@given(texts)
def test_tokens_of_the_pieces_are_those_of_the_text(text: str) -> None:
    assert sum(map(words.count_tokens, words.pieces(text))) == words.count_tokens(text)


def test_each_piece_is_a_word_with_the_space_before_it() -> None:
    assert words.pieces(" a  bc\nd ") == [" a", "  bc", "\nd "]


@given(texts, st.integers(0, 5000))
def test_a_filled_text_has_the_exact_size(text: str, size: int) -> None:
    assert len("".join(words.filled(text, size)).encode()) == size


def test_a_large_text_is_made_of_few_pieces() -> None:
    assert len(words.filled("a", 1024 * 1024)) <= 1025


@given(texts, st.integers(1, 100))
def test_a_vector_has_length_one(text: str, dimensions: int) -> None:
    vector = words.vector(text, dimensions)

    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-9)


def test_texts_that_share_words_point_closer_together() -> None:
    cat, dog, other = (
        words.vector(text, 256) for text in ("a black cat", "a black dog", "stock prices fell")
    )

    assert product(cat, dog) > product(cat, other) + 0.3


def product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_packed_vector_is_little_endian_floats() -> None:
    assert struct.unpack("<2f", words.packed([0.5, -1.0])) == (0.5, -1.0)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "input_text", "text": "b"}], "a\nb"),
        (None, ""),
        ([1, {"text": 2}], ""),
    ],
)
def test_the_text_of_a_content_is_found(content: Any, text: str) -> None:
    assert words.text_of(content) == text


def test_an_identifier_depends_on_its_parts_and_their_borders() -> None:
    assert words.identifier("x-", b"ab", "c") == words.identifier("x-", b"ab", "c")
    assert words.identifier("x-", b"ab", "c") != words.identifier("x-", b"a", "bc")
