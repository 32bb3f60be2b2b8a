"""Held to `tokenizers`, piece by piece."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from unicodedata import category, ucd_3_2_0

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from llmproxy_semantic.wordpiece import UNKNOWN, pieces_of

VOCABULARY = files("llmproxy_semantic").joinpath("vocabulary.txt").read_bytes()

#: Those that Unicode has known for long, as the two have tables of two versions of it.
OLD = st.characters(exclude_categories=("Cs", "Cn")).filter(
    lambda char: ucd_3_2_0.category(char) == category(char)
)


@pytest.fixture(scope="module")
def judge() -> Tokenizer:
    pieces = VOCABULARY.decode().splitlines()
    known = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def same(judge: Tokenizer, text: str) -> bool:
    return bool(pieces_of(text) == judge.encode(text, add_special_tokens=False).ids)


def test_the_vocabulary_is_that_of_the_model() -> None:
    assert (
        sha256(VOCABULARY).hexdigest() == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    )


def test_a_word_is_its_longest_pieces() -> None:
    lines = VOCABULARY.decode().splitlines()

    assert [lines[number] for number in pieces_of("Unaffable!")] == ["una", "##ffa", "##ble", "!"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \t\n",
        "What is the capital of France?",
        "it's e-mail: me@example.com, $1,000.50 (20%) -- #1!",
        "Crème brûlée à la façon d'Émile; naïve coöperation, ÅNGSTRÖM, İstanbul, Straße",
        "e\u0301 and \u00e9, n\u0303 and \u00f1, \u1e69 \u0073\u0323\u0307",
        "ΟΔΥΣΣΕΥΣ και ὈΔΥΣΣΕΎΣ",
        "Привет, как дела? Ёлка",
        "日本語のテキストと漢字、中文。한국어 텍스트",
        "\u3400\U00020000\uf900\U0002f800 \u30ab\u30bf",
        "मैं हिन्दी بالعربية עברית ภาษาไทย",
        "😀 👩‍👩‍👧 🇫🇷 ☃\ufe0f ✓ → ½ ² №",
        "a\x00b\x01c\x7fd\x0be\x0cf\x1cg\x85h\u200bi\u200dj\ufeffk\u00adl\ufffdm\ue000n",
        "a\u00a0b\u2003c\u2028d\u2029e\u3000f",
        "“curly” ‘quotes’ — dash … ¿qué? «oui» 「はい」",  # noqa: RUF001  # meant so
        "[CLS] is text here, and so are [SEP] [MASK] [PAD] [UNK] ##ing",
        "x" * 100,
        "x" * 101,
        "pneumonoultramicroscopicsilicovolcanoconiosis 𝒻𝒶𝓃𝒸𝓎 ﬁne",  # noqa: RUF001  # meant so
        "C++ vs. C#; `git rebase -i HEAD~3` && rm -rf ./build | tee out.log <a href='x'>",
    ],
)
def test_a_text_has_the_pieces_that_the_model_was_trained_on(judge: Tokenizer, text: str) -> None:
    assert same(judge, text)


@given(text=st.text(OLD))
def test_any_text_has_the_same_pieces(judge: Tokenizer, text: str) -> None:
    assert same(judge, text)


@given(text=st.text(st.characters(max_codepoint=127)))
def test_any_plain_text_has_the_same_pieces(judge: Tokenizer, text: str) -> None:
    assert same(judge, text)


def test_a_word_that_is_too_long_is_unknown() -> None:
    assert pieces_of("é" * 5000) == [UNKNOWN]
