"""What is compared of two questions, made once for each: words, names, numbers, what was said word for word. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from llmproxy_semantic.canonical import canonicalise
from llmproxy_semantic.closedclass import (
    AMOUNTS,
    ASKING,
    HOLDING,
    PREPOSITIONS,
    RELATING,
    SIGNS,
    SILENT,
    THIRD,
    is_closed,
)
from llmproxy_semantic.phrasing import plainly
from llmproxy_semantic.stemming import ending, stem
from llmproxy_semantic.tongue import told_english
from llmproxy_semantic.unseen import signs_in, text_in, with_capitals_told
from llmproxy_semantic.verbatim import counts_as_written

#: Stands between words that "and", "or" or "versus" join.
JOINT: Final = "&"
#: Stands before the word that an "only" or an "even" is about.
FOCUS: Final = "^"
#: A word that stands for what was said word for word begins so.
_STANDS: Final = "zq"
#: Stands before the word that a "not" is about.
NOT: Final = "!"
#: Words above which only one form counts as the same: no likeness sees a fact that was changed on a page.
MOST_WORDS: Final = 60
#: Characters beyond which a question has no features but its form, as it has none where it has too many words.
LONGEST: Final = 800
#: Characters of a text, as it was written, in which names are looked for: more are space, or wishes around the question.
_READ: Final = 2 * LONGEST


class Features(msgspec.Struct, frozen=True, array_like=True):
    """What is compared of a question; holds no more of its text than its words.

    `words` are the stems of its content words, its numbers and pronouns in order, with `JOINT`, `NOT` and `FOCUS`
    between them; `closed` are the signs of its words of closed classes, sorted; `third` its pronouns of the third
    person, in order, and who of the two that talk is named first. `bound` are prepositions with the word behind each,
    `inflected` words with how they end (stemming.py). `sides` are words of closed classes
    that part one thing from another, where no other word tells which is which: verbs with what stands before them, and
    those behind which nothing stands ("is it in"). `parts` are what it says word for word (code, addresses,
    paths, flags), `quoted` what it quotes, `operators` its signs. `traits` are what may keep it from being matched
    at all: `code`, `outside`, `wording`, `clock`, `tongue`. `text` is a digest of what it brings along.
    """

    form: bytes
    words: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    third: tuple[str, ...] = ()
    bound: tuple[str, ...] = ()
    inflected: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    operators: str = ""
    length: int = 0
    negations: int = 0
    traits: tuple[str, ...] = ()
    text: bytes = b""


_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_QUOTED: Final = re.compile(r"\"+([^\"\n]*)\"+|(?<![\w'])'([^'\n]{2,})'(?!\w)")
#: Each alternative begins where a word does, and never gives back what it took: no text takes more than its length.
_PART: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`"
    r"|(?<!\w)\w++://\S+|(?<!\S)[^\s@]++@[^\s@]*\.\w+|(?<![\w.])(?:~|\.{1,2})?/[\w.][\w./~-]*"
    r"|(?<![\w/])\w++(?:/\w++)+\.\w+|[A-Za-z]:\\\S+"
    r"|(?<![\w-])--?[A-Za-z][\w-]*(?:=\S+)?|\b\w++\.(?:[a-z]{2,4}\d?)\b(?!\.\w)|\b\w*_\w+\b|\b\w++\(\)",
    re.DOTALL,
)
_TOKEN: Final = re.compile(
    r"\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th|k|%)?(?![\w])|[^\W\d_]\w*(?:\+\+|#)?(?:'[a-z]+)?|\w+"
    r"|(?<=[\d\s(])[-/](?= ?\d)|^-(?=\d)|[+*<>=^|~%&$\u20ac\u00a3{}\[\]#@\\]"
)
_CAPITAL: Final = re.compile(r"[^\W\d_][\w'+#-]*")
_SENTENCE_ENDS: Final = frozenset('.!?:\n"(-')
_ROMAN: Final = {
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "xi": "11",
    "xii": "12",
}
_ORDINALS: Final = dict(
    zip(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
        [f"{number}th" for number in range(1, 11)],
        strict=True,
    )
)
_ORDINAL_ENDS: Final = ("st", "nd", "rd", "th")
_CURRENCIES: Final = {"$": "dollar", "\u20ac": "euro", "\u00a3": "pound"}
_OUTSIDE: Final = re.compile(
    r"\b(?:above|below|attached|attachment|aforementioned|here|(?:my|your) (?:last|previous|earlier)"
    r"|(?:this|these|the following|the given) (?:text|code|file|image|picture|document|table|article|essay|email"
    r"|function|snippet|sentence|paragraph|message|error|question|list|data|passage|query|script|log|answer))\b"
)
#: A question about words, in which every word counts.
_WORDING: Final = re.compile(
    r"\b(?:(?:the|a) (?:words?|term|phrase|preposition|pronoun|article|verb|noun|suffix|prefix|letter)|in a sentence"
    r"|grammar|grammatical(?:ly)?|spell(?:ing|ed)?|pronounc\w+|synonyms?|rhymes?)\b"
)
_CLOCK: Final = re.compile(
    r"\b(?:today|tonight|now|right now|currently|current|latest|yesterday|tomorrow|nowadays|recent|recently"
    r"|this (?:week|month|year|morning|evening|weekend)|(?:last|next) (?:week|month|year|night|weekend)|as of)\b"
)


#: Raise this with every change of what is compared: words that were read otherwise are not to be compared.
_VERSION: Final = b"\x06"
_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Features).decode


def pack(features: Features) -> bytes:
    """Return features as they are kept."""
    return _VERSION + _encode(features)


def unpack(data: bytes) -> Features | None:
    """Return features that were kept; None where another version of this module kept them, or they are broken."""
    if data[:1] != _VERSION:
        return None
    try:
        return _decode(memoryview(data)[1:])
    except msgspec.DecodeError:
        return None


def features_of(text: str, form: str | None = None) -> Features:
    """Return what is compared of a question, as its caller wrote it; `form` is its canonical one, if that is known."""
    form = canonicalise(text) if form is None else form
    digest = blake2b(form.encode(), digest_size=12).digest()
    length = len(form.split())
    if len(form) > LONGEST or length > MOST_WORDS:
        return Features(digest, length=max(length, MOST_WORDS + 1))
    plain = text.translate(_QUOTES)[:_READ]
    quoted: list[str] = []
    parts: list[str] = []
    bare = _QUOTED.sub(lambda found: _taken(quoted, _folded(found[1] or found[2] or "")), form)
    bare = _PART.sub(lambda found: _taken(parts, found.group()), bare)
    reading = _Reading(plainly(with_capitals_told(bare)))
    brought = text_in(form)
    return Features(
        digest,
        words=tuple(reading.words),
        closed=tuple(sorted(reading.closed)),
        third=tuple(reading.third),
        bound=tuple(sorted(reading.bound)),
        inflected=tuple(sorted(reading.inflected)),
        sides=tuple(sorted(reading.sides)),
        names=tuple(sorted(set(_names(_PART.sub(" ", _QUOTED.sub(" ", plain)))))),
        numbers=tuple(sorted(reading.numbers)),
        parts=tuple(sorted(parts)),
        quoted=tuple(sorted(filter(None, quoted))),
        operators="".join(sorted([*reading.operators, *signs_in(bare)])),
        length=length,
        negations=reading.negations,
        traits=_traits(text, form),
        text=blake2b(brought.encode(), digest_size=8).digest() if brought else b"",
    )


def _taken(into: list[str], said: str) -> str:
    """Take what is said word for word; in its place stands a word of its own, so that it has an order."""
    into.append(said)
    return f" {_STANDS}{blake2b(said.encode(), digest_size=6).hexdigest()} "


def _folded(said: str) -> str:
    return said.casefold().strip(" .,!?")


class _Reading:
    """The words of a form, each put where it counts."""

    def __init__(self, form: str) -> None:
        self.words: list[str] = []
        self.closed: set[str] = set()
        self.third: list[str] = []
        self._partners: list[str] = []
        self.bound: set[str] = set()
        self.inflected: set[str] = set()
        self.sides: set[str] = set()
        self._relating = self._amount = ""
        self._amounts: dict[str, str] = {}
        self._before: set[str] = set()
        self._joins = False
        self._preposition = ""
        self.numbers: list[str] = []
        self.operators: list[str] = []
        self.negations = 0
        self._joinable = False
        for token in _TOKEN.findall(form):
            self._read(token)
            self._joinable = token not in SIGNS and token not in PREPOSITIONS
        self._joins_nothing()
        self._bind(_END)
        self._strand()
        self._amounts.pop("", None)
        if len(self._amounts) > 1:
            self.sides.update(map(" ".join, self._amounts.items()))
        if len(set(self._partners)) > 1:
            self.third += self._partners

    def _read(self, token: str) -> None:
        self._side(token)
        if token in PREPOSITIONS:
            self._preposition = token
            self._joins_nothing()
        signs = SIGNS.get(token)
        if token[0].isdigit() or token in _ROMAN or token in _ORDINALS:
            self._number(token)
        elif not token[0].isalnum():
            self._sign(token)
        elif token in THIRD:
            self._person(THIRD[token])
        elif signs is not None:
            self._closed(signs)
        elif token not in SILENT:
            self._content(token.partition("'")[0])

    def _side(self, token: str) -> None:
        """Hear on which side of what another thing stands; of two that are joined either may be named first."""
        sign = SIGNS.get(token, ("",))[0]
        if token in RELATING or token in ASKING:
            self._strand()
            self._relating = token if token in RELATING else ""
        elif token in HOLDING:
            self.sides.add(" ".join([sign, *sorted(self._before)]))
        elif token not in SILENT and (not sign or sign in _TALKING):
            self._amounts[self._amount] = token
            self._relating = self._amount = ""
            self._before = {*self._before, token} if self._joins else {token}
        if sign in AMOUNTS:
            self._amounts[sign] = ""
            self._amount = sign
        self._joins = sign in _JOINING

    def _strand(self) -> None:
        """Take note of a word behind which nothing stands, or what is asked for: "what is it in" is "in what is it"."""
        if self._relating:
            self.sides.add(self._relating)
            self._relating = ""

    def _joins_nothing(self) -> None:
        """Take back a joint: "and why" joins no words, nor does "or after"."""
        if self.words and self.words[-1] == JOINT:
            self.words.pop()

    def _person(self, who: str) -> None:
        self.third.append(who)
        self.words.append(who)
        self._bind(who)

    def _bind(self, word: str) -> None:
        if self._preposition:
            self.bound.add(f"{word} {self._preposition}")
            self._preposition = ""

    def _content(self, word: str) -> None:
        stemmed = stem(word)
        self.words.append(stemmed)
        self._bind(stemmed)
        end = ending(word)
        if end:
            self.inflected.add(f"{stemmed} {end}")

    def _number(self, token: str) -> None:
        number = number_of(token)
        self.numbers.append(number)
        self.words.append(number)
        self._bind(number)

    def _sign(self, sign: str) -> None:
        currency = _CURRENCIES.get(sign)
        if currency is not None:
            self.words.append(currency)
        elif sign == "&":
            self._closed(_AND)
        else:
            self.operators.append(sign)

    def _closed(self, signs: tuple[str, ...]) -> None:
        if signs == ("not",):
            self.negations += 1
            self.words.append(NOT)
            return
        if signs[0] in _FOCUS:
            self.words.append(FOCUS)
        if signs[0] in _FIRST_TWO:
            self._partners.append(signs[0])
            self._bind(signs[0])
        if signs != _AND:  # two words beside one another say it too
            self.closed.update(signs)
        if signs[0] in _JOINING and self.words and self._joinable:
            self.words.append(JOINT)
        else:
            self._joins_nothing()


_END: Final = "."
_AND: Final = ("and",)
_FIRST_TWO: Final = frozenset({"me", "you"})
_TALKING: Final = frozenset({"me", "you", "us"})
_FOCUS: Final = frozenset({"only", "even"})
_JOINING: Final = frozenset({"and", "or", "versus"})


def number_of(token: str) -> str:
    """Return one way to write a number: 1,000 as 1000, 20k as 20000, 1st and first as 1th, 2.50 as 2.5."""
    token = _ROMAN.get(token) or _ORDINALS.get(token) or token
    bare = token.replace(",", "").rstrip("%").rstrip("stndrh")
    kind = "%" if token.endswith("%") else "th" if token.endswith(_ORDINAL_ENDS) else ""
    if bare.endswith("k"):
        bare = bare[:-1] + "000" if "." not in bare else bare
    if "." in bare:
        bare = bare.rstrip("0").rstrip(".")
    return (bare.lstrip("0") or "0") + kind


def _names(text: str) -> Iterator[str]:
    """Give the stems of the words of a text that are written as names are."""
    found = list(_CAPITAL.finditer(text))
    titled = _titled([each.group() for each in found])
    for each in found:
        word = each.group()
        odd = any(map(str.isdigit, word))
        if odd or (word[0].isupper() and _is_name(text, each.start(), word, titled=titled)):
            letter = len(word) == 1 and word != "I"
            for piece in word.lower().removesuffix("'s").split("-"):
                if piece and (letter or not is_closed(piece)):
                    yield stem(piece)


def _titled(words: list[str]) -> bool:
    """Tell whether even small words have capitals."""
    small = [word[0].isupper() for word in words[1:] if word != "I" and is_closed(word.lower())]
    return sum(small) > 1 and 2 * sum(small) > len(small)


def _is_name(text: str, start: int, word: str, *, titled: bool) -> bool:
    if len(word) > 1 and word.isupper():
        return not text.isupper() and not titled
    if titled:
        return False
    ahead = text[:start].rstrip(" ")
    return bool(ahead) and ahead[-1] not in _SENTENCE_ENDS


def _traits(text: str, form: str) -> tuple[str, ...]:
    small = form.lower()
    told: Iterable[tuple[str, bool]] = (
        ("code", "```" in form),
        ("outside", _OUTSIDE.search(small) is not None),
        ("wording", _WORDING.search(small) is not None or counts_as_written(text)),
        ("clock", _CLOCK.search(small) is not None),
        ("tongue", not told_english(small)),
    )
    return tuple(name for name, holds in told if holds)
