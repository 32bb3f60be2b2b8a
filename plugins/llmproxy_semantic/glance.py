"""What a look at each word of a text tells of it, so that rules that cannot hold are not tried. Pure.

A text is read word by word for its form; most words were read before, and most rules of the form are about few words.
What is told here is never too little: where a rule may hold, it is tried.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from llmproxy_semantic.tongue import ENGLISH, NAMED, OTHER, WORD
from llmproxy_semantic.verbatim import is_written, may_be_code, may_be_of_words
from llmproxy_semantic.wording import CONTRACTIONS, FILLERS, NUMBERS, SCALES, SPELLINGS

#: What a word may tell: it is not ASCII, a quotation begins or ends, it counts as it is written, words or code may be
#: what is asked about, it has capitals, it is said in another way, it tells the language.
ODD: Final = 1
QUOTED: Final = 2
WRITTEN: Final = 4
WORDING: Final = 8
CODE: Final = 16
CAPITAL: Final = 32
SAID: Final = 64
SCALED: Final = 128
FILLER: Final = 256
GROUPED: Final = 512
PERCENT: Final = 1024
IS_ENGLISH: Final = 2048
IS_OTHER: Final = 4096
IS_NAMED: Final = 8192
#: All of it: nothing is known.
ALL: Final = -1

#: Characters of a word above which it is not remembered, and how many words are.
_LONG: Final = 32
_REMEMBERED: Final = 8192
_SAID: Final = frozenset({*CONTRACTIONS, *NUMBERS, *SPELLINGS})
_QUOTE: Final = re.compile("[\"`]|(?<![\\w'])'")
_LETTERS: Final = re.compile(r"[a-z]+")
_WORDS: Final = re.compile(r"[a-z]+(?:['-][a-z]+)*")


def glance(text: str) -> int:
    """Return what the words of a text tell, together."""
    if not text.isascii():
        return ALL
    told = 0
    for word in text.split():
        told |= _known(word) if len(word) <= _LONG else _read(word)
    return told


def _read(word: str) -> int:
    small = word.lower()
    words, plain = _WORDS.findall(small), WORD.findall(small)
    told: tuple[tuple[int, bool], ...] = (
        (QUOTED, _QUOTE.search(word) is not None),
        (WRITTEN, is_written(word)),
        (WORDING, may_be_of_words(small)),
        (CODE, may_be_code(word)),
        (CAPITAL, small != word),
        (SAID, not _SAID.isdisjoint([*words, *plain, *_LETTERS.findall(small)])),
        (SCALED, not SCALES.keys().isdisjoint(plain)),
        (FILLER, not FILLERS.isdisjoint(plain)),
        (GROUPED, "," in word),
        (PERCENT, "%" in word or "cent" in small),
        (IS_ENGLISH, not ENGLISH.isdisjoint(plain)),
        (IS_OTHER, not OTHER.isdisjoint(plain)),
        (IS_NAMED, not NAMED.isdisjoint(plain)),
    )
    return sum(sign for sign, holds in told if holds)


_known: Final = lru_cache(_REMEMBERED)(_read)
