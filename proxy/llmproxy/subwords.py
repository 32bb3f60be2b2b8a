"""How many subword tokens a text has, estimated from what it is made of.

The weights are least squares against OpenAI's o200k_base vocabulary, over prompts, tool schemas, source code and
catalogues of messages in twenty languages: the median error is 4 %, from 2 % (Korean, Japanese, Vietnamese) to 15 %
(Italian, Portuguese, base64). Vocabularies of other makers are near enough that one factor brings them there.
"""

from __future__ import annotations

import re
from typing import Final

# A word, or one of the words in aCamelCaseName.
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A word of a European language other than English gives itself away by its marks.
# Looked for where a word begins alone: else the time for a long word without marks would grow with its square.
_MARKED: Final = re.compile(
    r"(?<![A-Za-z])[A-Za-z]*+[\u00c0-\u024f\u1e00-\u1eff][A-Za-z\u00c0-\u024f\u1e00-\u1eff]*"
)
_DIGITS: Final = re.compile(r"\d{1,3}")
_MARKS: Final = re.compile(r"[!-/:-@\[-`{-~\u2010-\u205f\u3000-\u303f\uff00-\uffef]+")
_BREAK: Final = re.compile(r"(?<!\s)\s*\n\s*|[ \t]{2,}")  # likewise: where white space begins
_CYRILLIC: Final = re.compile(r"[\u0370-\u052f]+")

# Scripts whose tokens are a matter of characters.
_PER_CHARACTER: Final = (
    (re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+"), 0.90),
    (re.compile(r"[\u3040-\u30ff]+"), 0.61),
    (re.compile(r"[\uac00-\ud7af]+"), 0.67),
    (re.compile(r"[\u0530-\u1dff]+"), 0.38),
    (re.compile(r"[\u2070-\u2fff\u3100-\u33ff\ua000-\uabff]+"), 0.70),
    (re.compile(r"[\U00010000-\U0010ffff]+"), 1.40),
)


#: Characters that are looked at in one go: an expression that runs lets no other thread run. Of a longer text as many
#: pieces are looked at, from all of it, as are quick.
_PIECE: Final = 64 * 1024
_PIECES: Final = 16


def estimate(text: str) -> float:
    """Return about how many tokens a text has."""
    if len(text) <= _PIECE:
        return _estimate(text)
    step = max(_PIECE, len(text) // _PIECES)
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), step)]
    return sum(map(_estimate, pieces)) * len(text) / _length(pieces)


def _estimate(text: str) -> float:
    tokens = 1.36 * len(_DIGITS.findall(text)) + 1.5 * len(_BREAK.findall(text))
    marks = _MARKS.findall(text)
    tokens += 0.88 * len(marks) + 0.03 * _length(marks)
    marked: list[str] = []
    if not text.isascii():
        marked = _MARKED.findall(text)
        cyrillic = _CYRILLIC.findall(text)
        tokens += 0.32 * _length(marked) + 1.5 * len(cyrillic) + 0.07 * _length(cyrillic)
        tokens += sum(weight * _length(script.findall(text)) for script, weight in _PER_CHARACTER)
        text = _MARKED.sub(" ", text)
    words = _WORD.findall(text)
    foreign = min(1.0, 3 * len(marked) / (len(words) + len(marked))) if marked else 0.0
    tokens += 0.96 * len(words) + 0.35 * sum([len(word) - 8 for word in words if len(word) > 8])
    if foreign:
        tokens += 0.39 * foreign * sum([len(word) - 4 for word in words if len(word) > 4])
    return tokens


def _length(pieces: list[str]) -> int:
    return sum(map(len, pieces))
