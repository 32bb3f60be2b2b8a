"""Words in which capitals say something: another word, a unit, a sign, a name in code. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from llmproxy_semantic.wording import (
    CODE_WORDS,
    ELEMENTS,
    NAMES_IN_CAPITALS,
    NAMES_LIKE_WORDS,
    NUMBERS,
    TOOLS,
    words,
)

_LETTERS: Final = re.compile(r"[A-Za-z]+")
_CAPITALISED: Final = re.compile(r"(?<![A-Za-z])[a-z]*+[A-Z][A-Za-z]*")
#: What a sentence begins behind, and what its first word has a capital behind anyway.
_ENDS: Final = frozenset(".!?\n")
_BEGINS: Final = _ENDS | frozenset(':;("-')
#: A name in code: getName, but not iPhone.
_CAMEL: Final = re.compile(r"[a-z]++[A-Z]")
_BRANDS: Final = frozenset({"i", "e", "mac", "j"})
#: Units that are meant however they are written, and letters behind a number that are.
_UNITS: Final = frozenset({"AM", "PM", "MB", "GB", "TB", "KB", "KM", "KG", "Am", "Pm", "D", "K", "X", "I"})
_LONGEST_UNIT: Final = 3
#: Words that nobody means two things by.
_SMALL: Final = frozenset(
    words("what which who how why when where the an is are do does did can and or of in on to")
)
_FEW: Final = 3


def keep_where_case_counts(text: str, keep: Callable[[re.Match[str]], str]) -> str:
    """Return a text with `keep` called for each word whose capitals say something."""
    if text.upper() == text:
        if len(text.split()) >= _FEW:
            return text  # all of it is loud
        return _LETTERS.sub(
            lambda found: keep(found) if found.group() in NAMES_IN_CAPITALS else found.group(), text
        )
    small = _said_in_two_ways(text)
    counts = _counts_in_code if _of_code(text) else _counts
    if not small and not any(map(counts, _CAPITALISED.finditer(text))):
        return text
    return _LETTERS.sub(
        lambda found: keep(found) if counts(found) or found.group().lower() in small else found.group(),
        text,
    )


def _of_code(text: str) -> bool:
    return not CODE_WORDS.isdisjoint(_LETTERS.findall(text.lower()))


def _counts_in_code(found: re.Match[str]) -> bool:
    """Tell whether a word is another one in small letters, where it may be a name or a value in code: True, Name."""
    word = found.group()
    if word.istitle() and len(word) > 1 and word.lower() not in TOOLS and not _begins(found):
        return True
    return _counts(found)


def _said_in_two_ways(text: str) -> set[str]:
    """Return what stands in a text in small letters and in others, but for what begins a sentence: String and string."""
    said = set(_LETTERS.findall(text))
    if len(set(map(str.lower, said))) == len(said):
        return set()
    counts = Counter(
        map(str.lower, {found.group() for found in _LETTERS.finditer(text) if not _begins(found)})
    )
    return {word for word, times in counts.items() if times > 1 and word not in _SMALL}


def _counts(found: re.Match[str]) -> bool:
    """Tell whether a word is another one in small letters."""
    word = found.group()
    if word.islower():
        return False
    if word in NAMES_IN_CAPITALS or _is_camel(word):
        return True
    if len(word) <= _LONGEST_UNIT and _behind_number(found):
        return word not in _UNITS
    if len(word) == 1:
        return word != "I" and not _begins(found, _ENDS)
    if _begins(found):
        return False
    return word in NAMES_LIKE_WORDS or word in ELEMENTS or word.lower() in NUMBERS


def _is_camel(word: str) -> bool:
    found = _CAMEL.match(word)
    return found is not None and word[: found.end() - 1] not in _BRANDS


def _behind_number(found: re.Match[str]) -> bool:
    return found.string[max(0, found.start() - 2) : found.start()].strip()[-1:].isdigit()


def _begins(found: re.Match[str], behind: frozenset[str] = _BEGINS) -> bool:
    """Tell whether a word begins a sentence."""
    at, text = found.start(), found.string
    while at and text[at - 1] in " \t":
        at -= 1
    return not at or text[at - 1] in behind
