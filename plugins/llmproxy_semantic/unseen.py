"""What of a question its vector hardly shows, or not at all: capitals, accents, signs, another text. Pure.

A model of English reads small letters without accents, one token for each sign that it does not know, and hears little
of a sign among words. Where two questions differ in nothing else they are as near as one question is to itself.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy_semantic.closedclass import is_closed
from llmproxy_semantic.stemming import stem
from llmproxy_semantic.verbatim import brought

#: Stands behind a word whose capitals count: with it, it is another word.
CAPITAL: Final = "\u02b0"
_CAPITALS: Final = re.compile(r"(?<!\w)\w*?[A-Z]\w*")
#: Signs that only shape a text.
_SHAPE: Final = frozenset(
    "\u2018\u2019\u201c\u201d\u201e\xab\xbb\u2013\u2014\u2026\xbf\xa1\xb7\u2022\u3001\u3002\uff0c\uff1f\uff01"
)
_MARKS: Final = frozenset("?!")
_BEHIND: Final = ' ?!.,;)"'


def with_capitals_told(form: str) -> str:
    """Return a form in small letters; its capitals are those that count."""
    return _CAPITALS.sub(lambda found: found.group() + CAPITAL, form).lower()


def signs_in(form: str) -> list[str]:
    """Return the signs of a form that are not ASCII, and those that end or stress what is not its end."""
    inner = form.rstrip(_BEHIND)
    marks = [sign for sign in inner if sign in _MARKS]
    if form.isascii():
        return marks
    odd = [sign for sign in form if not (sign.isascii() or sign.isalnum() or sign.isspace())]
    return marks + [sign for sign in odd if sign not in _SHAPE]


def text_in(form: str) -> str:
    """Return the text that a form brings along behind a colon or on further lines; empty if it brings none."""
    return form[brought(form) :]


def capital_words(words: list[str], others: list[str]) -> bool:
    """Tell whether one of some words is one of others, or one that counts for nothing, but for capitals that count."""
    plain = {word.removesuffix(CAPITAL) for word in words if word.endswith(CAPITAL)}
    return not {*plain, *map(stem, plain)}.isdisjoint(others) or any(map(is_closed, plain))


def accented(words: list[str]) -> bool:
    """Tell whether one of some words has other letters than the alphabet's."""
    return any(not word.removesuffix(CAPITAL).isascii() for word in words)
