"""WordPiece as bert-base-uncased has it: a text to the numbers of its pieces. Pure.

What is written like a special token ("[SEP]") is text here, as a caller's text cannot end a sequence.
Source: the description in BERT's paper (arXiv 1810.04805) and of its normaliser and pre-tokeniser in the documentation
of `tokenizers`, against which the tests hold it piece by piece.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from unicodedata import category, normalize

UNKNOWN: Final = 100
BEGIN: Final = 101
END: Final = 102

#: Characters of a word above which it is unknown.
_LONGEST_WORD: Final = 100
_PLAIN_WORD: Final = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
#: Where characters stand that are words by themselves.
_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
#: ASCII controls that are no space: they are left out.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def pieces_of(text: str) -> list[int]:
    """Return the numbers of a text's pieces, without those for its begin and its end."""
    pieces: list[int] = []
    for word in _words(text):
        if len(word) <= _LONGEST_WORD:
            pieces += _word_pieces(word)
        else:
            pieces.append(UNKNOWN)
    return pieces


def is_word(word: str) -> bool:
    """Tell whether a small word is one piece: one that is often written."""
    return word in _vocabulary()


@lru_cache(maxsize=16384)
def _word_pieces(word: str) -> tuple[int, ...]:
    """Return the pieces of one word: the longest known beginning, then the longest that goes on from there."""
    known = _vocabulary()
    if (whole := known.get(word)) is not None:
        return (whole,)
    pieces: list[int] = []
    start, prefix = 0, ""
    while start < len(word):
        end = len(word)
        while (piece := known.get(prefix + word[start:end])) is None:
            end -= 1
            if end == start:
                return (UNKNOWN,)
        pieces.append(piece)
        start, prefix = end, "##"
    return tuple(pieces)


@cache
def _vocabulary() -> dict[str, int]:
    text = files("llmproxy_semantic").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    return {piece: number for number, piece in enumerate(text.removesuffix("\n").split("\n"))}


def _words(text: str) -> list[str]:
    if text.isascii():
        return _PLAIN_WORD.findall(_CONTROLS.sub("", text).lower())
    cleaned = "".join(map(_cleaned, text))
    bare = "".join([char for char in normalize("NFD", cleaned) if category(char) != "Mn"])
    return "".join(map(_parted, map(str.lower, bare))).split()


@lru_cache(maxsize=4096)
def _cleaned(char: str) -> str:
    """Return what stands for a character: nothing for controls, one space for any, spaces around ideographs."""
    if char in "\t\n\r" or category(char) in {"Zs", "Zl", "Zp"}:
        return " "
    if char == "\ufffd" or category(char) in {"Cc", "Cf", "Cs", "Co"}:
        return ""
    code = ord(char)
    return f" {char} " if any(first <= code <= last for first, last in _IDEOGRAPHS) else char


@lru_cache(maxsize=4096)
def _parted(char: str) -> str:
    """Return a character, with spaces around it where it is a word by itself."""
    sign = (char.isascii() and char.isprintable() and not char.isalnum()) or category(char[:1])[0] == "P"
    return f" {char} " if sign else char
