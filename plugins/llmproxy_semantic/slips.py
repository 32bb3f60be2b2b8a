"""Slips of the pen that can be nothing else: a long word that is none, and one word that it is but for a slip. Pure.

Theory. A slip moves a vector further than another word does, so that likeness alone tells no slip from a question about
something else. A word is taken for a slip where no model of English has it as a whole word, and where exactly one long
word is left when two neighbouring letters change places or one stands once more or less often beside itself. Letters
that are put in, left out or changed are none: `sulfite` is no slip of `sulfate`, nor `prostrate` of `prostate`. Of
260,000 words of a dictionary 31 are taken for another, most of which are other spellings of it. A letter that slipped
over the space beside it is a slip where both words are words then, and neither was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from llmproxy_semantic.tongue import told_english
from llmproxy_semantic.verbatim import brought
from llmproxy_semantic.wordpiece import is_word

#: Letters of a word that may be a slip, and of the one that it is then.
_SHORTEST: Final = 7
_LEAST: Final = 8
#: Letters of what another word may be made of, and that are put behind it.
_LEAST_BARE: Final = 4
_MOST_ADDED: Final = 4
#: Letters that are words.
_LETTERS: Final = frozenset("ai")
#: Before these ends one letter or two are two words: hoping and hopping.
_ENDS: Final = frozenset(
    ("ing", "ings", "ed", "er", "ers", "est", "y", "or", "ors", "en", "able", "ish", "ery")
)
_LONG: Final = re.compile(rf"(?<![\w'-])[a-z]{{{_SHORTEST},}}(?![\w'-])")
_PAIR: Final = re.compile(r"(?<![\w'-])([a-z]+) ([a-z]+)(?![\w'-])")
_CAPITALS: Final = re.compile(r"(?<=[^\W\d_] )[A-Z]\w*|(?<=[\d,;'] )[A-Z]\w*")
#: Where what is said stands in quotes, a slip may be what is asked about.
_QUOTES: Final = frozenset("\"`'\u2018\u201c")


def mended(text: str, form: str) -> str:
    """Return the form of a text without such slips; names, as far as they are written so, stay as they are."""
    end = brought(form)
    head = form[:end]
    if not _QUOTES.isdisjoint(head) or not told_english(head.lower()):
        return form
    names = {name.lower() for name in _CAPITALS.findall(text)}
    head = _LONG.sub(lambda found: found[0] if found[0] in names else _mended(found[0]), head)
    return _joined(head, names) + form[end:]


def _joined(text: str, names: set[str]) -> str:
    """Return a text with all letters on their side of the space beside them."""
    at = 0
    while (found := _PAIR.search(text, at)) is not None:
        one, other = found.groups()
        if names.isdisjoint((one, other)):
            one, other = _parted(one, other)
            text = f"{text[: found.start()]}{one} {other}{text[found.end() :]}"
        at = found.start() + len(one) + 1
    return text


@lru_cache(maxsize=4096)
def _mended(word: str) -> str:
    """Return the only word that one may be a slip of; itself where there is none, or several."""
    if _known(word):
        return word
    meant = {each for each in _slips(word) if len(each) >= _LEAST and _written(each)}
    return meant.pop() if len(meant) == 1 else word


def _slips(word: str) -> Iterator[str]:
    for at in range(len(word) - 1):
        one, next_ = word[at], word[at + 1]
        rest = word[at + 2 :]
        if one != next_:
            yield f"{word[:at]}{next_}{one}{rest}"
        elif rest not in _ENDS:
            yield f"{word[:at]}{one}{rest}"
        if next_ not in (one, rest[:1]) and rest and rest not in _ENDS:
            yield f"{word[: at + 1]}{next_}{next_}{rest}"


@lru_cache(maxsize=4096)
def _parted(one: str, other: str) -> tuple[str, str]:
    """Return two words with a letter back on its side of the space between them, where neither is a word."""
    if _written(one) or _written(other):
        return one, other
    moved = [(one + other[0], other[1:]), (one[:-1], one[-1] + other)]
    meant = [pair for pair in moved if all(map(_written, pair))]
    return meant[0] if len(meant) == 1 else (one, other)


def _written(word: str) -> bool:
    """Tell whether a word is often written, or several of it are."""
    return _is_word(word) or (not word.endswith("ss") and _is_word(word.removesuffix("s")))


def _known(word: str) -> bool:
    """Tell whether a word is one, or may be made of one: with an end, or something before it."""
    if _written(word):
        return True
    made = [word[:-letters] for letters in range(1, _MOST_ADDED + 1)]
    made += [f"{bare}e" for bare in made] + [word[2:], word[3:]]
    return any(len(bare) >= _LEAST_BARE and _is_word(bare) for bare in made)


def _is_word(word: str) -> bool:
    return is_word(word) and (len(word) > 1 or word in _LETTERS)
