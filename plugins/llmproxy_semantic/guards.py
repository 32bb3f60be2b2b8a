"""Why an answer to one question will not do for another, however much alike the two are. Pure.

Each guard is told two questions' features and says whether it objects. None of them knows that two questions mean the
same; each knows a way in which they do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from llmproxy_semantic.contrasts import CLASSES, OPPOSITES, PIVOTAL, PREFIXES, SUFFIXES, SYMMETRIC
from llmproxy_semantic.features import FOCUS, JOINT, MOST_WORDS, NOT, Features
from llmproxy_semantic.unseen import accented, capital_words

_RATIO: Final = 2
_FORGIVEN: Final = 6

Guard = Callable[[Features, Features], bool]

#: Prepositions without which a word has another part.
_PARTS: Final = frozenset({"to", "for", "at", "from", "with", "by", "against", "about", "into"})
_MARKS: Final = frozenset({FOCUS, JOINT, NOT})


def unmatched(asked: Features, stored: Features) -> tuple[list[str], list[str]]:
    """Return the words that only one of two questions has; what stands twice must be matched twice."""
    here, there = Counter(asked.words), Counter(stored.words)
    for mark in _MARKS:
        del here[mark], there[mark]
    return list((here - there).elements()), list((there - here).elements())


def too_long(asked: Features, stored: Features) -> bool:
    """Object to questions too long to be compared by likeness."""
    return asked.length > MOST_WORDS or stored.length > MOST_WORDS


def uneven(asked: Features, stored: Features) -> bool:
    """Object where one question is more than twice as long as the other."""
    shorter, longer = sorted((asked.length, stored.length))
    return longer > _RATIO * shorter


def numbers(asked: Features, stored: Features) -> bool:
    """Object to other numbers."""
    return asked.numbers != stored.numbers


def negation(asked: Features, stored: Features) -> bool:
    """Object where one question denies what the other says."""
    return asked.negations != stored.negations


def verbatim(asked: Features, stored: Features) -> bool:
    """Object to other code, addresses, paths or flags."""
    return asked.parts != stored.parts


def quotations(asked: Features, stored: Features) -> bool:
    """Object to other quotations."""
    return asked.quoted != stored.quoted


def text(asked: Features, stored: Features) -> bool:
    """Object to another text behind the question."""
    return asked.text != stored.text


def tongue(asked: Features, stored: Features) -> bool:
    """Object to questions that are not told to be English: no guard knows their words."""
    return "tongue" in asked.traits or "tongue" in stored.traits


def capitals(asked: Features, stored: Features) -> bool:
    """Object where capitals make another word."""
    here, there = unmatched(asked, stored)
    return capital_words(here, there) or capital_words(there, here)


def accents(asked: Features, stored: Features) -> bool:
    """Object to a word on one side whose letters no vector shows."""
    here, there = unmatched(asked, stored)
    return accented(here) or accented(there)


def operators(asked: Features, stored: Features) -> bool:
    """Object to other signs."""
    return asked.operators != stored.operators


def closed_words(asked: Features, stored: Features) -> bool:
    """Object to other words of closed classes: who asks what, of whom, when, how many, whether it must be."""
    return asked.closed != stored.closed


def pronouns(asked: Features, stored: Features) -> bool:
    """Object to other persons, or the same in another order."""
    return asked.third != stored.third


def names(asked: Features, stored: Features) -> bool:
    """Object to a name that the other question lacks; one letter more, less or else is a slip of the pen."""
    return _lacks(asked.names, stored) or _lacks(stored.names, asked)


def roles(asked: Features, stored: Features) -> bool:
    """Object where a word of both questions has another part: `to` it in one, `from` it in the other."""
    return _clash(asked.bound, stored.bound)


def _moved(asked: Features, stored: Features) -> bool:
    """Tell whether what stands before one word of both questions stands before another of both in the other one.

    Of two that are joined, or that are the same to one another, either may be named first.
    """
    if JOINT in {*asked.words, *stored.words} or not SYMMETRIC.isdisjoint(asked.words):
        return False
    here, there = _by_part(asked.bound), _by_part(stored.bound)
    return any(
        not (here[part] - there[part]).isdisjoint(stored.words)
        and not (there[part] - here[part]).isdisjoint(asked.words)
        for part in here.keys() & there.keys()
    )


def unbound(asked: Features, stored: Features) -> bool:
    """Object where a word has a part in one question and none in the other: reporting `to` somebody is not the same."""
    return _unbound(asked, stored) or _unbound(stored, asked) or _moved(asked, stored)


def _unbound(one: Features, other: Features) -> bool:
    """Tell whether a word has a part in one question and, where nothing else has that part, none in the other."""
    bound = _by_word(other.bound)
    parts = _PARTS.difference(*bound.values())
    return any(
        not parts.isdisjoint(said) and word in other.words and word not in bound
        for word, said in _by_word(one.bound).items()
    )


def inflection(asked: Features, stored: Features) -> bool:
    """Object where what is done in one question was done, or goes on, in the other."""
    here, there = _by_word(asked.inflected), _by_word(stored.inflected)
    words = (here.keys() & frozenset(stored.words)) | (there.keys() & frozenset(asked.words))
    return any(here.get(word) != there.get(word) for word in words)


def _clash(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    here, there = _by_word(one), _by_word(other)
    return any(here[word].isdisjoint(there[word]) for word in here.keys() & there.keys())


def _by_word(said: tuple[str, ...]) -> dict[str, set[str]]:
    """Return what is said of each word."""
    by_word: dict[str, set[str]] = {}
    for each in said:
        word, _, what = each.partition(" ")
        by_word.setdefault(word, set()).add(what)
    return by_word


def _by_part(said: tuple[str, ...]) -> dict[str, set[str]]:
    """Return the words that each part is of."""
    by_part: dict[str, set[str]] = {}
    for each in said:
        word, _, part = each.partition(" ")
        by_part.setdefault(part, set()).add(word)
    return by_part


def sides(asked: Features, stored: Features) -> bool:
    """Object where another thing stands on the side of a word that parts two: what needs it, what it needs."""
    return asked.sides != stored.sides


def contrast(asked: Features, stored: Features) -> bool:
    """Object where a word of one question stands for one that excludes it in the other."""
    here, there = unmatched(asked, stored)
    if not here or not there:
        return False
    return any(excludes(one, other) for one, other in product(here[:8], there[:8]))


def pivot(asked: Features, stored: Features) -> bool:
    """Object to a word on one side that changes what the question is about."""
    here, there = unmatched(asked, stored)
    return not PIVOTAL.isdisjoint(here) or not PIVOTAL.isdisjoint(there)


def excludes(one: str, other: str) -> bool:
    """Tell whether of two words' stems one excludes the other."""
    if not CLASSES.get(one, frozenset()).isdisjoint(CLASSES.get(other, frozenset())):
        return True
    return other in OPPOSITES.get(one, ()) or _turned(one, other)


def _turned(one: str, other: str) -> bool:
    """Tell whether two words differ in a beginning or an end that turns what a word means."""
    if one[:1] != other[:1] or one[-3:] == other[-3:]:
        return _rest(one, PREFIXES, str.removeprefix) & _rest(other, PREFIXES, str.removeprefix) != set()
    return _rest(one, SUFFIXES, str.removesuffix) & _rest(other, SUFFIXES, str.removesuffix) != set()


def _rest(word: str, ends: Iterable[str], cut: Callable[[str, str], str]) -> set[str]:
    return {rest for end in ("", *ends) if len(rest := cut(word, end)) > 2}


def _lacks(wanted: tuple[str, ...], there: Features) -> bool:
    missing = [name for name in wanted if name not in there.words and name not in there.names]
    if not missing:
        return False
    missing = [name for name in missing if not any(slip(name, word) for word in there.words)]
    return bool(missing)


def slip(name: str, word: str) -> bool:
    """Tell whether two words are one, but for a letter; short ones and ones with digits are what they are."""
    if min(len(name), len(word)) < _FORGIVEN or name[0] != word[0] or not (name.isalpha() and word.isalpha()):
        return False
    return one_edit(name, word) and CLASSES.get(name) is None


def one_edit(one: str, other: str) -> bool:
    """Tell whether one letter put in, left out, changed or swapped with the next makes one word of the other."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    short, long = sorted((one, other), key=len)
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
    return swapped or short[at + 1 :] == long[at + 1 :]


def order(asked: Features, stored: Features) -> bool:
    """Object where the words of both questions stand in another order, unless what is swapped is joined."""
    here, there = _shared(asked, stored), _shared(stored, asked)
    return here != there and not _same_but_joined(here, there)


def _shared(one: Features, other: Features) -> list[str]:
    has = frozenset(other.words)
    year = one.numbers[0] if len(one.numbers) == 1 and _YEAR.fullmatch(one.numbers[0]) else ""
    return [word for word in one.words if (word in has or word == JOINT) and word != year]


#: Words that may stand on a side of a joint.
_JOINED: Final = 3
#: The only year of a question may stand anywhere.
_YEAR: Final = re.compile(r"(?:1\d|20|21)\d\d")


def _same_but_joined(here: list[str], there: list[str]) -> bool:
    """Tell whether two orders are one, but for what stands before a joint and what behind it."""
    bare = [word for word in here if word != JOINT]
    other = [word for word in there if word != JOINT]
    if bare == other:
        return len(here) == len(there)  # salt and water is not salt water
    if sorted(bare) != sorted(other):
        return True  # a word that stands more often here than there: not a matter of order
    first, end = _window(bare, other)
    one, two = bare[first:end], other[first:end]
    if NOT in one or FOCUS in one:
        return False  # what it is about changed
    if end == len(bare) and _turns_around(one, two):
        return True
    if any(word[0].isdigit() for word in one):
        return False  # what is reckoned with what
    return _turns_at_joint(here, one, two, first) or _turns_at_joint(there, two, one, first)


def _window(one: list[str], other: list[str]) -> tuple[int, int]:
    first = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    end = len(one)
    while one[end - 1] == other[end - 1]:
        end -= 1
    return first, end


def _turns_at_joint(here: list[str], one: list[str], other: list[str], first: int) -> bool:
    at = _joints(here)
    return any(
        first + cut in at and _alike(cut, len(one) - cut) and one[cut:] + one[:cut] == other
        for cut in range(1, len(one))
    )


def _alike(before: int, behind: int) -> bool:
    """Tell whether so many words before a joint and behind it may be of one kind."""
    return max(before, behind) <= _JOINED and abs(before - behind) <= 1


def _joints(words: list[str]) -> set[int]:
    at: set[int] = set()
    seen = 0
    for word in words:
        if word == JOINT:
            at.add(seen)
        else:
            seen += 1
    return at


def _turns_around(one: list[str], other: list[str]) -> bool:
    """Tell whether two things changed places around a word that says the same of both."""
    between = enumerate(one[1:-1], 1)
    return any(word in SYMMETRIC and other == [*one[at + 1 :], word, *one[:at]] for at, word in between)


#: The guards, the cheapest and the most telling first.
GUARDS: Final[tuple[tuple[str, Guard], ...]] = (
    ("long", too_long),
    ("length", uneven),
    ("numbers", numbers),
    ("negation", negation),
    ("closed_words", closed_words),
    ("pronouns", pronouns),
    ("verbatim", verbatim),
    ("quotations", quotations),
    ("text", text),
    ("operators", operators),
    ("names", names),
    ("capitals", capitals),
    ("accents", accents),
    ("tongue", tongue),
    ("order", order),
    ("contrast", contrast),
    ("sides", sides),
    ("roles", roles),
    ("unbound", unbound),
    ("inflection", inflection),
    ("pivot", pivot),
)


def objection(asked: Features, stored: Features) -> str:
    """Return the name of a guard that objects to answering one question as the other; empty if none does."""
    if asked.form == stored.form:
        return ""
    return next((name for name, objects in GUARDS if objects(asked, stored)), "")
